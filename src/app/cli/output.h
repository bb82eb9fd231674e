#pragma once

#include "base/error.h"

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace tidemark::app {

/// Where results go: text for people, or one JSON document, on stdout. Written once, at the end of
/// a command.
class Output {
public:
    Output(std::string command, bool json);
    ~Output();
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    bool json() const { return json_; }
    /// Appends text; ignored with --json.
    void text(const std::string& text);
    /// Top-level fields of the document (docs/guide/json.md).
    nlohmann::json& document();

    /// Prints everything; `error` may be null. Returns the exit code.
    int finish(int code, const base::Error* error);

private:
    std::string command_;
    bool json_;
    std::string text_;
    nlohmann::json* document_;
};

/// "tidemark: what", "  hint: next step" on stderr.
void print_error(const base::Error& error);

} // namespace tidemark::app
