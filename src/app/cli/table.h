#pragma once

#include <string>
#include <vector>

namespace tidemark::app {

/// Columns for people: a header line, then rows, widths made to fit. Cells are made printable.
class Table {
public:
    explicit Table(std::vector<std::string> header);
    void row(std::vector<std::string> cells);
    /// Each line starts with `indent` spaces and ends with a newline.
    std::string render(std::size_t indent = 0) const;

private:
    std::vector<std::vector<std::string>> rows_;
};

} // namespace tidemark::app
