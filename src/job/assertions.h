#pragma once

#include "model/drill.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a group's owner says about its data, asked of every restored copy (docs/guide/drill.md):
///
///   --! check: no account is overdrawn      a name; otherwise "line N"
///   --! on: orders, billing                 holds until changed; all members at first
///   --! database: bank                      holds until changed; "postgres" at first
///   --! expect: true | equal | sum N | sum constant
///   SELECT bool_and(balance >= 0) FROM account;
///
/// Statements end with a semicolon outside of quotes and comments. Every statement returns one
/// value on each member it is asked on.
namespace tidemark::job {

struct Assertion {
    enum class Expect : std::uint8_t {
        truth,    ///< true on every member
        equal,    ///< the same value on all of them
        sum,      ///< the values add up to `total`
        constant, ///< the values add up to what they did at the last drill
    };
    std::string name = {};
    unsigned line = 0;
    std::vector<std::string> members = {};
    std::string database = {};
    Expect expect = Expect::truth;
    std::string total = {}; ///< as written
    std::string sql = {};
    friend bool operator==(const Assertion&, const Assertion&) = default;
};

/// All mistakes at once are one Error{usage}, a line each: "FILE:LINE: what". `members` are the
/// group's.
std::vector<Assertion> parse_assertions(std::string_view text, const std::string& file,
                                        const std::vector<std::string>& members);

/// What one member said: a value, NULL, or why it said nothing.
struct Answer {
    std::string member = {};
    std::optional<std::string> value = {};
    std::string error = {};
};

/// Judges the answers of all members of the assertion. `before` is the sum of the last drill.
std::vector<model::DrillCheck> judge(const Assertion& assertion, const std::vector<Answer>& answers,
                                     const std::optional<std::string>& before);

/// The exact sum of decimal numbers; nothing when one is none or when there are more than 36
/// digits.
std::optional<std::string> exact_sum(const std::vector<std::string>& values);

} // namespace tidemark::job
