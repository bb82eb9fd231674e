#include "app/cli/output.h"

#include "app/cli/describe.h"
#include "base/log.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using base::Code;

namespace {

/// What to do next when the place that failed could not know better.
std::string_view general_step(Code code)
{
    switch (code) {
    case Code::usage:
        return "tidemark help shows what is possible";
    case Code::not_restorable:
        return "tidemark verify lists what is damaged and what it costs";
    case Code::repository_unreachable:
        return "look at the repository's path, mount and permissions, then run it again";
    case Code::member_unreachable:
    case Code::member_not_ready:
        return "tidemark check names what is missing and the exact fix";
    case Code::mark_not_placed:
        return "nothing was harmed; run it again, tidemark status shows who lags";
    case Code::log_gap:
        return "tidemark backup starts a new chain of log";
    case Code::out_of_space:
        return "free space there and run the same command again";
    case Code::cancelled:
        return "run the same command again; it goes on where it can";
    default:
        return "run the same command again; with --verbose it tells more";
    }
}

/// Every failure ends with a next step.
std::string next_step(const base::Error& error)
{
    return error.hint().empty() ? std::string(general_step(error.code())) : error.hint();
}

} // namespace

Output::Output(std::string command, bool json)
    : command_(std::move(command)), json_(json),
      document_(new nlohmann::json(nlohmann::json::object()))
{
}

Output::~Output()
{
    delete document_;
}

void Output::text(const std::string& text)
{
    if (!json_) text_ += text;
}

nlohmann::json& Output::document()
{
    return *document_;
}

int Output::finish(int code, const base::Error* error)
{
    if (error != nullptr) print_error(*error);
    if (json_) {
        auto& out = *document_;
        out["schema"] = 1;
        out["command"] = command_;
        out["exit"] = code;
        out["exit_name"] = base::code_name(static_cast<base::Code>(code));
        if (error != nullptr) {
            out["error"] = {{"code", base::code_name(error->code())},
                            {"message", error->what()},
                            {"hint", next_step(*error)}};
        }
        text_ = json_text(out);
    }
    bool good = std::fwrite(text_.data(), 1, text_.size(), stdout) == text_.size();
    good = std::fflush(stdout) == 0 && good;
    if (!good) {
        std::fputs("tidemark: cannot write the result to standard output\n", stderr);
        return code == 0 ? static_cast<int>(base::Code::failed) : code;
    }
    return code;
}

void print_error(const base::Error& error)
{
    std::string text = "tidemark: ";
    std::string_view rest = error.what();
    for (bool first = true; !rest.empty() || first; first = false) {
        auto end = rest.find('\n');
        text += base::escape_controls(rest.substr(0, end)) + "\n";
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
    text += "  next: " + base::escape_controls(next_step(error)) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
}

} // namespace tidemark::app
