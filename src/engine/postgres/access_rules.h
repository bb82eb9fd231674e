#pragma once

#include "engine/postgres/conf_file.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// The grammar of pg_hba.conf, pg_ident.conf and what these include (hba.c, next_token): fields
/// between blanks, words between commas, only double quotes quote, two of them stand for one.
namespace tidemark::engine::postgres {

/// Rules as written; one that a backslash continues on the next line is one.
std::vector<std::string> split_rules(std::string_view text);

/// A file that a rule names: with a directive (16 and later) or in a field, as `@file`.
struct RuleInclude {
    Include include;
    std::size_t at = 0; ///< where the path stands in the rule, with its quotes
    std::size_t length = 0;
    std::string word; ///< for people: `@` or the directive
};
std::vector<RuleInclude> rule_includes(std::string_view rule);

/// Whose grammar it is does not say what a file is for.
enum class RulesOf {
    access, ///< pg_hba.conf and what it includes: who matches no rule any more meets the next one
    names,  ///< pg_ident.conf, and lists that rules name as `@file`
};

/// Replaces paths. Where a rule of access names an absent one, fewer come in than did before, never
/// more: those whom it may have been for are rejected, whatever the rules below it allow. Names
/// that nobody knows become `all` in it; in place of a directive all are rejected. Elsewhere, and
/// after include_if_exists, it becomes a remark.
EditedConf edit_rules(std::string_view text, const IncludePaths& includes, RulesOf of);

} // namespace tidemark::engine::postgres
