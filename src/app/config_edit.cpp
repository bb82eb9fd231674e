#include "app/config_edit.h"

#include "app/config.h"
#include "base/error.h"
#include "base/fd.h"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <set>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>
#include <vector>

namespace tidemark::app {

using base::Code;
using base::Error;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLargestConfig = 16U << 20;
const fs::path kEdited = "the changed configuration";

std::vector<std::string> lines_of(std::string_view text)
{
    std::vector<std::string> out;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size() - 1);
        out.emplace_back(text.substr(0, end + 1));
        text.remove_prefix(end + 1);
    }
    return out;
}

std::string_view trimmed(std::string_view line)
{
    auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!line.empty() && blank(line.front()))
        line.remove_prefix(1);
    while (!line.empty() && blank(line.back()))
        line.remove_suffix(1);
    return line;
}

/// Lines, from 0: [begin, end).
struct Range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Line of the last thing that belongs to `node`, from 1.
std::size_t last_line(const toml::node& node)
{
    std::size_t last = node.source().begin.line;
    if (!node.is_table()) last = std::max<std::size_t>(last, node.source().end.line);
    if (const auto* table = node.as_table()) {
        for (const auto& [key, child] : *table)
            last = std::max({last, std::size_t{key.source().end.line}, last_line(child)});
    } else if (const auto* array = node.as_array()) {
        for (const auto& child : *array)
            last = std::max(last, last_line(child));
    }
    return last;
}

[[noreturn]] void by_hand(const std::string& what)
{
    throw Error{Code::usage,
                "the configuration file is written in a way that is not changed by a program",
                {.hint = what}};
}

class Text {
public:
    explicit Text(std::string_view text)
        : text_(text), root_(toml::parse(text)), lines_(lines_of(text))
    {
    }

    const toml::table* group(const std::string& name) const
    {
        const auto* groups = root_["group"].as_table();
        return groups == nullptr ? nullptr : (*groups)[name].as_table();
    }

    /// A [header] stands on the line where a table begins; an inline table has none.
    bool has_header(const toml::table& table) const
    {
        std::size_t line = table.source().begin.line;
        return line >= 1 && line <= lines_.size() && !table.is_inline() &&
               trimmed(lines_[line - 1]).starts_with('[');
    }

    /// With the comments directly above.
    Range with_comments(std::size_t first, std::size_t last) const
    {
        Range out{first - 1, std::min(last, lines_.size())};
        while (out.begin > 0 && trimmed(lines_[out.begin - 1]).starts_with('#'))
            --out.begin;
        // At the head of the file such lines speak of all of it.
        if (out.begin == 0) out.begin = first - 1;
        return out;
    }

    ConfigEdit without(const std::vector<Range>& ranges) const
    {
        ConfigEdit edit{.before = std::string(text_), .after = {}, .lines = {}};
        std::set<std::size_t> gone;
        for (const auto& range : ranges) {
            for (std::size_t line = range.begin; line < range.end; ++line)
                gone.insert(line);
            // One of the empty lines around it goes, too.
            if (range.end < lines_.size() && trimmed(lines_[range.end]).empty() &&
                (range.begin == 0 || trimmed(lines_[range.begin - 1]).empty()))
                gone.insert(range.end);
        }
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            if (gone.contains(line))
                edit.lines += lines_[line];
            else
                edit.after += lines_[line];
        }
        return edit;
    }

    ConfigEdit inserted(std::size_t after, const std::string& block) const
    {
        ConfigEdit edit{.before = std::string(text_), .after = {}, .lines = block};
        for (std::size_t line = 0; line < lines_.size(); ++line) {
            edit.after += lines_[line];
            if (line + 1 != after) continue;
            if (!lines_[line].ends_with('\n')) edit.after += '\n';
            edit.after += "\n" + block;
            if (after < lines_.size() && !trimmed(lines_[after]).empty()) edit.after += "\n";
        }
        return edit;
    }

private:
    std::string_view text_;
    toml::table root_;
    std::vector<std::string> lines_;
};

std::vector<std::string> names_in(const Config& config, const std::string& group)
{
    std::vector<std::string> names;
    if (const auto* spec = config.group(group)) {
        for (const auto& member : spec->members)
            names.push_back(member.name);
    }
    return names;
}

/// The change did what it should, and nothing else that we can see.
void require_effect(const ConfigEdit& edit, const std::string& group,
                    const std::vector<std::string>& wanted, const std::string& hint)
{
    auto was = parse_config(edit.before, kEdited);
    Config now;
    try {
        now = parse_config(edit.after, kEdited);
    } catch (const Error&) {
        by_hand(hint);
    }
    bool good = names_in(now, group) == wanted && (now.group(group) != nullptr) != wanted.empty() &&
                now.repositories.size() == was.repositories.size() &&
                now.inactive.size() <= was.inactive.size();
    for (const auto& other : was.groups) {
        if (other.name != group)
            good = good && names_in(now, other.name) == names_in(was, other.name);
    }
    if (!good) by_hand(hint);
}

/// May a file of ours be made one of this owner and group?
bool may_give_to(const struct stat& info)
{
    if (::geteuid() == 0) return true;
    if (info.st_uid != ::geteuid()) return false;
    if (info.st_gid == ::getegid()) return true;
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
    const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    return count > 0 &&
           std::find(groups.begin(), groups.begin() + count, info.st_gid) != groups.begin() + count;
}

} // namespace

ConfigEdit with_member(std::string_view text, const std::string& group,
                       const model::MemberSpec& member)
{
    auto block = render_member(group, member);
    auto hint = "put this into it by hand:\n" + block;
    auto wanted = names_in(parse_config(text, kEdited), group);
    wanted.push_back(member.name);
    Text file(text);
    const auto* spec = file.group(group);
    const auto* members = spec == nullptr ? nullptr : (*spec)["member"].as_array();
    if (members == nullptr || members->empty()) by_hand(hint);
    std::size_t last = 0;
    for (const auto& one : *members) {
        if (one.as_table() == nullptr || !file.has_header(*one.as_table())) by_hand(hint);
        last = std::max(last, last_line(one));
    }
    auto edit = file.inserted(last, block);
    require_effect(edit, group, wanted, hint);
    return edit;
}

ConfigEdit without_member(std::string_view text, const std::string& group,
                          const std::string& member)
{
    auto hint = fmt::format("take member {} out of [group.{}] by hand", member, group);
    auto wanted = names_in(parse_config(text, kEdited), group);
    std::erase(wanted, member);
    if (wanted.empty()) return without_group(text, group);
    Text file(text);
    const auto* spec = file.group(group);
    const auto* members = spec == nullptr ? nullptr : (*spec)["member"].as_array();
    if (members == nullptr) by_hand(hint);
    std::vector<Range> ranges;
    for (const auto& one : *members) {
        const auto* entry = one.as_table();
        if (entry == nullptr || (*entry)["name"].value_or(std::string()) != member) continue;
        if (!file.has_header(*entry)) by_hand(hint);
        ranges.push_back(file.with_comments(entry->source().begin.line, last_line(*entry)));
    }
    auto edit = file.without(ranges);
    require_effect(edit, group, wanted, hint);
    return edit;
}

ConfigEdit without_group(std::string_view text, const std::string& group)
{
    auto hint = fmt::format("take [group.{}] and all below it out by hand", group);
    Text file(text);
    const auto* spec = file.group(group);
    if (spec == nullptr) by_hand(hint);
    std::vector<Range> ranges;
    auto take = [&](const toml::table& table, std::size_t last) {
        ranges.push_back(file.with_comments(table.source().begin.line, last));
    };
    std::size_t own_last = spec->source().begin.line;
    for (const auto& [key, node] : *spec) {
        const auto* table = node.as_table();
        const auto* array = node.as_array();
        if (table != nullptr && file.has_header(*table)) {
            take(*table, last_line(*table));
        } else if (key.str() == "member" && array != nullptr) {
            for (const auto& one : *array) {
                if (one.as_table() == nullptr || !file.has_header(*one.as_table())) by_hand(hint);
                take(*one.as_table(), last_line(one));
            }
        } else {
            own_last = std::max({own_last, std::size_t{key.source().end.line}, last_line(node)});
        }
    }
    if (file.has_header(*spec)) take(*spec, own_last);
    auto edit = file.without(ranges);
    require_effect(edit, group, {}, hint);
    return edit;
}

std::string read_config_text(const fs::path& path)
{
    return std::string(base::as_text(base::read_file(path, kLargestConfig)));
}

void require_editable(const fs::path& path)
{
    auto real = fs::canonical(path);
    struct stat info = {};
    if (::stat(real.c_str(), &info) != 0)
        throw base::system_error("cannot examine " + real.string(), errno);
    // The new file is given to whom the old one belongs.
    if (!may_give_to(info)) {
        throw Error{Code::usage,
                    real.string() + " belongs to another user or group, and would not afterwards",
                    {.hint = "nothing was changed; run the command as its owner, or as root"}};
    }
    // The file is replaced, so it is the folder that counts.
    if (::faccessat(AT_FDCWD, real.parent_path().c_str(), W_OK | X_OK, AT_EACCESS) == 0) return;
    int error = errno;
    throw Error{
        Code::usage,
        base::system_error("the configuration " + real.string() + " cannot be changed", error)
            .message(),
        {.hint = "nothing was changed; run the command as a user who may write in " +
                 real.parent_path().string()}};
}

void write_edit(const fs::path& path, const ConfigEdit& edit)
{
    auto real = fs::canonical(path);
    if (read_config_text(real) != edit.before) {
        throw Error{Code::usage,
                    real.string() + " was changed while this command ran",
                    {.hint = "run the command again"}};
    }
    struct stat info = {};
    if (::stat(real.c_str(), &info) != 0)
        throw base::system_error("cannot examine " + real.string(), errno);
    base::replace_file(real, base::as_bytes(edit.after), info.st_mode & 07777U);
    // Root may change a file that somebody else owns and reads.
    if (::chown(real.c_str(), info.st_uid, info.st_gid) != 0)
        throw base::system_error("cannot give back the ownership of " + real.string(), errno);
}

} // namespace tidemark::app
