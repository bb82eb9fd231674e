#include "job/assertions.h"

#include "base/error.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <set>

namespace tidemark::job {

using base::Code;
using base::Error;
using Expect = Assertion::Expect;

namespace {

constexpr std::string_view kDirective = "--!";

bool is_word(char c)
{
    auto byte = static_cast<unsigned char>(c);
    return std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
}

std::string_view trimmed(std::string_view text)
{
    auto from = text.find_first_not_of(" \t\r\n");
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1);
}

/// Reads the file statement by statement, following SQL's quotes and comments just as far as it
/// takes to find where a statement ends.
class Parser {
public:
    Parser(std::string_view text, const std::string& file, const std::vector<std::string>& members)
        : text_(text), file_(file), members_(members)
    {
        next_.members = members;
        next_.database = "postgres";
    }

    std::vector<Assertion> parse()
    {
        while (at_ < text_.size())
            step();
        end_statement();
        if (pending_line_ != 0) mistake(pending_line_, "no statement follows");
        if (!mistakes_.empty())
            throw Error{Code::usage,
                        fmt::format("{}", fmt::join(mistakes_, "\n")),
                        {.hint = "correct the file and run the same command again"}};
        return std::move(out_);
    }

private:
    bool at(std::string_view what) const { return text_.substr(at_).starts_with(what); }

    void step()
    {
        char c = text_[at_];
        if (at("--")) return comment();
        if (at("/*")) return block_comment();
        if (c == ';') {
            take(1);
            return end_statement();
        }
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            if (!sql_.empty()) sql_ += c;
            return take(1);
        }
        if (sql_.empty()) {
            next_.line = line_;
            if (c == '\\') return psql_command();
        }
        if (c == '\'') return quoted('\'', escapes_before());
        if (c == '"') return quoted('"', false);
        if (c == '$' && (sql_.empty() || !is_word(sql_.back()))) return dollar_quoted();
        keep(1);
    }

    /// Skips bytes, counting lines.
    void take(std::size_t count)
    {
        for (; count > 0; --count, ++at_) {
            if (text_[at_] == '\n') ++line_;
        }
    }

    void keep(std::size_t count)
    {
        sql_ += text_.substr(at_, count);
        take(count);
    }

    void comment()
    {
        auto end = std::min(text_.find('\n', at_), text_.size());
        auto line = text_.substr(at_, end - at_);
        if (line.starts_with(kDirective)) {
            if (sql_.empty())
                directive(trimmed(line.substr(kDirective.size())));
            else
                mistake(line_, "this line stands inside a statement (is a semicolon missing?)");
        }
        take(end - at_);
    }

    void block_comment()
    {
        unsigned begin = line_, depth = 0;
        do {
            if (at("/*")) {
                ++depth;
                take(2);
            } else if (at("*/")) {
                --depth;
                take(2);
            } else if (at_ < text_.size()) {
                take(1);
            } else {
                return mistake(begin, "this comment has no end");
            }
        } while (depth > 0);
        if (!sql_.empty()) sql_ += ' ';
    }

    void psql_command()
    {
        mistake(line_, "commands of psql are not known here, only SQL");
        take(std::min(text_.find('\n', at_), text_.size()) - at_);
    }

    bool escapes_before() const
    {
        if (sql_.empty() || (sql_.back() != 'e' && sql_.back() != 'E')) return false;
        return sql_.size() == 1 || !is_word(sql_[sql_.size() - 2]);
    }

    void quoted(char quote, bool escapes)
    {
        unsigned begin = line_;
        keep(1);
        while (at_ < text_.size()) {
            char c = text_[at_];
            keep(escapes && c == '\\' && at_ + 1 < text_.size() ? 2U : 1U);
            if (c != quote) continue;
            if (at_ >= text_.size() || text_[at_] != quote) return;
            keep(1); // doubled
        }
        mistake(begin, "this quote has no end");
    }

    void dollar_quoted()
    {
        auto end = at_ + 1;
        while (end < text_.size() && is_word(text_[end]))
            ++end;
        bool parameter = end > at_ + 1 && std::isdigit(static_cast<unsigned char>(text_[at_ + 1]));
        if (end >= text_.size() || text_[end] != '$' || parameter) return keep(1);
        auto tag = text_.substr(at_, end + 1 - at_);
        auto close = text_.find(tag, end + 1);
        if (close == std::string_view::npos) {
            mistake(line_, "this quote has no end");
            return keep(text_.size() - at_);
        }
        keep(close + tag.size() - at_);
    }

    void directive(std::string_view words)
    {
        auto colon = words.find(':');
        auto key = trimmed(words.substr(0, colon));
        auto value =
            colon == std::string_view::npos ? std::string_view{} : trimmed(words.substr(colon + 1));
        if (value.empty())
            return mistake(line_, "expected --! check: NAME, --! on: MEMBERS, --! database: NAME "
                                  "or --! expect: ...");
        if (key == "check") {
            next_.name = value;
            pending_line_ = line_;
        } else if (key == "database") {
            next_.database = value;
        } else if (key == "on") {
            read_members(value);
        } else if (key == "expect") {
            read_expectation(value);
            pending_line_ = line_;
        } else {
            mistake(line_, fmt::format(
                               "unknown word '{}': check, on, database and expect are known", key));
        }
    }

    void read_members(std::string_view value)
    {
        next_.members.clear();
        if (value == "all") {
            next_.members = members_;
            return;
        }
        while (!value.empty()) {
            auto name = trimmed(value.substr(0, value.find(',')));
            value.remove_prefix(std::min(value.find(','), value.size() - 1) + 1);
            if (std::find(members_.begin(), members_.end(), name) == members_.end())
                mistake(line_, fmt::format("there is no member '{}': {} are in the group", name,
                                           fmt::join(members_, ", ")));
            else if (std::find(next_.members.begin(), next_.members.end(), name) ==
                     next_.members.end())
                next_.members.emplace_back(name);
        }
    }

    void read_expectation(std::string_view value)
    {
        if (value == "true") {
            next_.expect = Expect::truth;
        } else if (value == "equal") {
            next_.expect = Expect::equal;
        } else if (value == "sum constant") {
            next_.expect = Expect::constant;
        } else if (value.starts_with("sum ") &&
                   exact_sum({std::string(trimmed(value.substr(4)))})) {
            next_.expect = Expect::sum;
            next_.total = *exact_sum({std::string(trimmed(value.substr(4)))});
        } else {
            mistake(line_, fmt::format("'{}' cannot be expected: true, equal, sum NUMBER and sum "
                                       "constant can",
                                       value));
        }
    }

    void end_statement()
    {
        auto sql = trimmed(sql_);
        if (!sql.empty()) {
            next_.sql = sql;
            if (next_.name.empty()) next_.name = fmt::format("line {}", next_.line);
            if (!names_.insert(next_.name).second)
                mistake(next_.line, fmt::format("there are two checks named '{}'", next_.name));
            if (next_.expect == Expect::equal && next_.members.size() < 2)
                mistake(next_.line, "equal needs two members at least");
            out_.push_back(next_);
            next_.name.clear();
            next_.total.clear();
            next_.expect = Expect::truth;
            pending_line_ = 0;
        }
        sql_.clear();
    }

    void mistake(unsigned line, const std::string& what)
    {
        mistakes_.push_back(fmt::format("{}:{}: {}", file_, line, what));
    }

    std::string_view text_;
    const std::string& file_;
    const std::vector<std::string>& members_;
    std::size_t at_ = 0;
    unsigned line_ = 1;
    unsigned pending_line_ = 0; ///< of what waits for its statement
    std::string sql_;
    Assertion next_;
    std::set<std::string> names_;
    std::vector<Assertion> out_;
    std::vector<std::string> mistakes_;
};

constexpr std::size_t kLongestValue = 200;

std::string shown(const Answer& answer)
{
    if (!answer.value) return "NULL";
    return answer.value->size() <= kLongestValue ? *answer.value
                                                 : answer.value->substr(0, kLongestValue) + "...";
}

std::vector<model::DrillCheck> judge_truth(const Assertion& assertion,
                                           const std::vector<Answer>& answers)
{
    std::vector<model::DrillCheck> checks;
    for (const auto& answer : answers) {
        bool good = answer.error.empty() && (answer.value == "t" || answer.value == "true");
        std::string text = good                   ? "true"
                           : answer.error.empty() ? "returned " + shown(answer) + ", not true"
                                                  : answer.error;
        checks.push_back({.name = "assertion",
                          .subject = assertion.name,
                          .member = answer.member,
                          .result = good ? model::CheckResult::passed : model::CheckResult::failed,
                          .text = std::move(text),
                          .value = shown(answer)});
    }
    return checks;
}

void judge_equal(const std::vector<Answer>& answers, model::DrillCheck& check)
{
    bool equal = std::all_of(answers.begin(), answers.end(), [&](const Answer& answer) {
        return answer.value == answers.front().value;
    });
    check.text = equal ? "equal everywhere: " + shown(answers.front()) : "the members differ";
    if (equal) check.value = shown(answers.front());
    if (!equal) check.result = model::CheckResult::failed;
}

void judge_sum(const Assertion& assertion, const std::vector<Answer>& answers,
               const std::optional<std::string>& before, model::DrillCheck& check)
{
    std::vector<std::string> values;
    for (const auto& answer : answers)
        values.push_back(answer.value.value_or("NULL"));
    check.value = exact_sum(values);
    check.result = model::CheckResult::failed;
    if (!check.value) {
        check.text = "not all values are numbers that can be added";
        return;
    }
    auto expected = assertion.expect == Expect::sum ? std::optional{assertion.total} : before;
    if (!expected) {
        check.result = model::CheckResult::passed;
        check.text = fmt::format("the sum is {}; later drills compare with it", *check.value);
    } else if (*expected == *check.value) {
        check.result = model::CheckResult::passed;
        check.text = fmt::format("the sum is {}", *check.value);
    } else {
        check.text =
            fmt::format("the sum is {} instead of {}{}", *check.value, *expected,
                        assertion.expect == Expect::constant ? ", as at the last drill" : "");
    }
}

} // namespace

std::vector<Assertion> parse_assertions(std::string_view text, const std::string& file,
                                        const std::vector<std::string>& members)
{
    return Parser(text, file, members).parse();
}

std::vector<model::DrillCheck> judge(const Assertion& assertion, const std::vector<Answer>& answers,
                                     const std::optional<std::string>& before)
{
    if (assertion.expect == Expect::truth) return judge_truth(assertion, answers);
    model::DrillCheck check{.name = "assertion", .subject = assertion.name};
    bool mute = std::any_of(answers.begin(), answers.end(),
                            [](const Answer& answer) { return !answer.error.empty(); });
    if (mute) {
        check.result = model::CheckResult::failed;
        check.text = "not every member answered";
    } else if (assertion.expect == Expect::equal) {
        judge_equal(answers, check);
    } else {
        judge_sum(assertion, answers, before, check);
    }
    for (const auto& answer : answers) {
        check.details.push_back(fmt::format("{}: {}", answer.member,
                                            answer.error.empty() ? shown(answer) : answer.error));
    }
    return {check};
}

} // namespace tidemark::job
