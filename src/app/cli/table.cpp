#include "app/cli/table.h"

#include "base/log.h"

#include <algorithm>

namespace tidemark::app {

Table::Table(std::vector<std::string> header)
{
    rows_.push_back(std::move(header));
}

void Table::row(std::vector<std::string> cells)
{
    for (auto& cell : cells)
        cell = base::escape_controls(cell);
    rows_.push_back(std::move(cells));
}

std::string Table::render(std::size_t indent) const
{
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
        if (row.size() > widths.size()) widths.resize(row.size());
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
        std::string line(indent, ' ');
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

} // namespace tidemark::app
