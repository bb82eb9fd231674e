#include "engine/postgres/config_files.h"

#include "engine/postgres/conf_file.h"

#include <fmt/format.h>
#include <set>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;

constexpr const char* kParkedAutoConf = "postgresql.auto.conf.parked";

std::string kept_name(const std::string& name, int number)
{
    return number == 1 ? name + ".kept" : fmt::format("{}.kept-{}", name, number);
}

/// Absent for a link, too: what it leads to is a person's, and not ours to read.
std::optional<std::string> text_of(const TargetFolder& data, const std::string& name)
{
    return data.is_file(name) ? data.read(name) : std::nullopt;
}

/// Keeps the text of `name` as NAME.kept, .kept-2 and so on: no such file is ever overwritten.
void keep_copy(const TargetFolder& data, const std::string& name, const std::string& text)
{
    int number = 1;
    for (; data.exists(kept_name(name, number)); ++number) {
        if (text_of(data, kept_name(name, number)) == text) return;
    }
    data.write(kept_name(name, number), text);
}

/// Keeps what `name` is under the first of these names of `as` that is free.
void keep_itself(const TargetFolder& data, const std::string& name, const std::string& as)
{
    int number = 1;
    while (data.exists(kept_name(as, number)))
        ++number;
    data.rename(name, kept_name(as, number));
}

/// What is no file, such as a link that a person made, never was the backup's.
void keep_if_odd(const TargetFolder& data, const std::string& name)
{
    if (data.exists(name) && !data.is_file(name)) keep_itself(data, name, name);
}

/// Does `newer` set all that `older` does?
bool covers(const std::string& newer, const std::string& older)
{
    std::set<std::string> names;
    for (const auto& line : split_lines(newer)) {
        if (auto setting = parse_conf_line(line)) names.insert(setting->name);
    }
    for (const auto& line : split_lines(older)) {
        auto setting = parse_conf_line(line);
        if (setting && !names.contains(setting->name)) return false;
    }
    return true;
}

/// A run that was killed left its postgresql.auto.conf parked, and somebody has started the server
/// since. ALTER SYSTEM began a new file, in which the older settings are missing unless people put
/// them there: the fuller one counts, the other is kept.
void settle_parked(const TargetFolder& data)
{
    if (!data.exists(kAutoConf) || !data.exists(kParkedAutoConf)) return;
    auto newer = text_of(data, kAutoConf).value_or("");
    auto older = text_of(data, kParkedAutoConf).value_or("");
    keep_itself(data, covers(newer, older) ? kParkedAutoConf : kAutoConf, kAutoConf);
}

/// Did a person's ALTER SYSTEM in quarantine make it? It begins the file anew, without the settings
/// of the backup's, which lies beside. postgresql.conf is written last: it says what is in force,
/// unless a person has put that back already.
bool is_of_quarantine(const TargetFolder& data, const ConfigFile& file, const std::string& text)
{
    if (file.name != std::string_view(kAutoConf)) return false;
    auto main = text_of(data, kMainConf.name);
    auto older = text_of(data, aside_name(file.name));
    if (!older || is_production(main)) return false;
    return is_ours(main) || !covers(text, *older);
}

} // namespace

bool is_ours(const std::optional<std::string>& text)
{
    return text && text->starts_with(kOurMark);
}

bool is_production(const std::optional<std::string>& text)
{
    return text && text->starts_with(kProductionMark);
}

std::string aside_name(const std::string& name)
{
    return name + ".from-backup";
}

void put_file(const TargetFolder& data, const std::string& name, const std::string& text,
              const std::optional<std::string>& known)
{
    keep_if_odd(data, name);
    auto there = data.read(name);
    if (there == text) return;
    if (there && there != known) keep_copy(data, name, *there);
    data.write(name, text);
}

const CapturedFile* find_role(const std::vector<CapturedFile>& captured, std::string_view role)
{
    for (const auto& file : captured) {
        if (file.role == role && file.content) return &file;
    }
    return nullptr;
}

fs::path captured_place(const CapturedFile& file)
{
    return fs::path(kCapturedFolder) /
           (fs::path("/") / file.path).lexically_normal().relative_path();
}

std::optional<std::string> original(const TargetFolder& data,
                                    const std::vector<CapturedFile>& captured,
                                    const ConfigFile& wanted)
{
    if (const auto* file = find_role(captured, wanted.role)) return file->content;
    auto aside = aside_name(wanted.name);
    if (auto text = text_of(data, aside + ".original")) return text;
    if (auto text = text_of(data, aside)) return text;
    auto text = text_of(data, wanted.name);
    return text && !is_ours(text) ? text : std::nullopt;
}

void make_room(const TargetFolder& data, const std::vector<CapturedFile>& captured,
               const ConfigFile& file)
{
    auto aside = aside_name(file.name);
    for (const auto& name : {std::string(file.name), aside, aside + ".original"})
        keep_if_odd(data, name);
    auto text = data.read(file.name);
    if (!text || is_ours(text)) return;
    if (find_role(captured, file.role) != nullptr || is_of_quarantine(data, file, *text)) {
        keep_copy(data, file.name, *text);
        return data.remove(file.name);
    }
    for (const auto& older : {aside, aside + ".original"}) {
        auto there = data.read(older);
        if (there && there != text) keep_copy(data, older, *there);
    }
    data.set_aside(file.name);
}

void park_auto_conf(const TargetFolder& data)
{
    settle_parked(data);
    if (data.exists(kAutoConf)) data.rename(kAutoConf, kParkedAutoConf);
}

void unpark_auto_conf(const TargetFolder& data)
{
    settle_parked(data);
    if (data.exists(kParkedAutoConf)) data.rename(kParkedAutoConf, kAutoConf);
}

void drop_parked(const TargetFolder& data)
{
    data.remove(kParkedAutoConf);
}

void note_kept(const TargetFolder& data, const std::vector<CapturedFile>& captured,
               HandOver& result)
{
    auto note = [&](const std::string& name) {
        for (int number = 1; data.exists(kept_name(name, number)); ++number)
            result.kept_files.push_back(kept_name(name, number));
    };
    for (const auto& file : kConfigFiles) {
        const auto aside = aside_name(file.name);
        for (const auto& name : {std::string(file.name), aside, aside + ".original"})
            note(name);
    }
    for (const auto& file : captured) {
        if (file.role == "include" && file.content) note(captured_place(file).string());
    }
}

} // namespace tidemark::engine::postgres
