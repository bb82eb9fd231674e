#include "engine/postgres/hand_over.h"

#include "base/bytes.h"
#include "base/error.h"
#include "engine/postgres/access_rules.h"
#include "engine/postgres/conf_file.h"
#include "engine/postgres/config_files.h"
#include "engine/postgres/neutralised.h"
#include "stream/crc32c.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;

/// Not our mark: put back by a person, it is theirs and is set aside before it is replaced.
constexpr const char* kFittedHeader =
    "# The backup's own, fitted to this place by tidemark: the report lists each changed line.\n";

/// `body` under our mark, which tells whether it was changed since.
std::string marked(const std::string& body)
{
    return fmt::format("{} ({:08x}).\n{}", kProductionMark, stream::crc32c(base::as_bytes(body)),
                       body);
}

/// Is it as marked() made it?
bool is_untouched(const std::optional<std::string>& text)
{
    return is_production(text) && text == marked(text->substr(text->find('\n') + 1));
}

/// Rewrites the files of one production configuration for its new place.
class Mover {
public:
    Mover(const TargetFolder& data, const std::vector<CapturedFile>& captured, HandOver& result,
          const fs::path& old_data)
        : data_(data), captured_(captured), result_(result), old_data_(old_data)
    {
        auto at = [&](const char* name) { return (data.path() / name).native(); };
        settings_["data_directory"] = data.path().native();
        settings_["hba_file"] = at("pg_hba.conf");
        settings_["ident_file"] = at("pg_ident.conf");
        for (const char* name :
             {"external_pid_file", "recovery_target", "recovery_target_lsn", "recovery_target_time",
              "recovery_target_name", "recovery_target_xid", "recovery_target_timeline",
              "recovery_target_inclusive", "recovery_target_action", "primary_conninfo",
              "primary_slot_name", "promote_trigger_file"}) {
            settings_[name] = std::nullopt;
        }
        for (const auto& line : split_lines(original(data, captured, kMainConf).value_or(""))) {
            auto setting = parse_conf_line(line);
            if (setting && setting->name == "data_directory") old_data_ = setting->value;
        }
        for (const auto& file : {kHba, kIdent}) {
            if (auto text = original(data, captured, file))
                find_rules(path_of(file), *text, *rules_of(file.role, {}));
        }
    }

    /// The backup's text of one of kConfigFiles, made fit; absent when it held none.
    struct Moved {
        std::string before;
        std::string after;
        bool changed = false;
    };
    std::optional<Moved> move(const ConfigFile& wanted, const std::string& shown)
    {
        auto text = original(data_, captured_, wanted);
        if (!text) return std::nullopt;
        auto known = result_.changed_lines.size();
        auto after = move({wanted.role, shown.c_str()}, path_of(wanted), *text);
        return Moved{*text, after, result_.changed_lines.size() > known};
    }

    /// The text of the file that lay at `path`, made fit; listed under the name of `file`.
    std::string move(const ConfigFile& file, const std::string& path, const std::string& text)
    {
        auto folder = fs::path(path).parent_path();
        ConfEdit edit{.settings = settings_, .includes = {}};
        auto note = [&](const Include& include) {
            auto target = (folder / include.path).lexically_normal();
            // What the data directory's own files name there is where it was.
            if (!below(target, data_.path())) edit.includes[include.path] = place_of(target);
        };
        const std::string_view role = file.role;
        EditedConf edited;
        if (auto of = rules_of(role, path)) {
            for (const auto& rule : split_rules(text)) {
                for (const auto& found : rule_includes(rule)) {
                    note(found.include);
                    if (found.word == "@" && !is_whole(folder / found.include.path))
                        edit.includes[found.include.path] = std::nullopt;
                }
            }
            edited = edit_rules(text, edit.includes, *of);
        } else {
            for (const auto& line : split_lines(text)) {
                if (auto include = parse_include(line))
                    note(*include);
                else if (auto setting = parse_conf_line(line))
                    adapt(*setting, edit);
            }
            edited = edit_conf(text, edit);
        }
        for (const auto& change : edited.changed) {
            result_.changed_lines.push_back(fmt::format("{}: {}", file.name, change));
        }
        return edited.text;
    }

    /// Writes the captured includes below DIR/captured, under their old paths.
    void write_includes()
    {
        for (const auto& file : captured_) {
            if (file.role == "include" && file.content) write_include(file, move_include(file));
        }
    }

    /// The same under our mark, which is a remark in each kind of them. `keep`: an earlier
    /// hand-over wrote them all, and what people made of them since is in force.
    void write_marked_includes(bool keep)
    {
        for (const auto& file : captured_) {
            if (file.role != "include" || !file.content) continue;
            auto place = captured_place(file).string();
            const auto listed = result_.changed_lines.size();
            auto text = move_include(file);
            if (keep && !data_.exists(place))
                note_left(place, listed, "removed since the hand-over before, left so");
            else if (keep && data_.is_file(place) && !is_untouched(data_.read(place)))
                note_left(place, listed);
            else
                write_include(file, text, marked(text));
        }
    }

    /// Lists that the file is as people made it, in place of what was listed for it from `from` on.
    void note_left(const std::string& name, std::size_t from,
                   const char* what = "changed since the hand-over before, in force")
    {
        result_.changed_lines.resize(from);
        result_.changed_lines.push_back(fmt::format("{}: {}", name, what));
    }

private:
    std::string move_include(const CapturedFile& file)
    {
        return move({"include", file.path.c_str()}, file.path, *file.content);
    }

    /// Writes `text`, or `under_mark` in its place. What either hand-over wrote there before and
    /// nobody changed is not worth keeping.
    void write_include(const CapturedFile& file, const std::string& text,
                       const std::optional<std::string>& under_mark = {})
    {
        auto place = captured_place(file);
        make_folders(place.parent_path());
        auto there = data_.is_file(place.string()) ? data_.read(place.string()) : std::nullopt;
        put_file(data_, place.string(), under_mark.value_or(text),
                 is_untouched(there) ? there : text);
    }

    /// Where it lay when it was in force.
    std::string path_of(const ConfigFile& wanted) const
    {
        const auto* file = find_role(captured_, wanted.role);
        return file != nullptr ? file->path : (data_.path() / wanted.name).native();
    }

    /// Absent for settings.
    std::optional<RulesOf> rules_of(std::string_view role, const std::string& path) const
    {
        if (role == "hba") return RulesOf::access;
        if (role == "ident") return RulesOf::names;
        auto found = rules_.find(path);
        return role == "include" && found != rules_.end() ? std::optional(found->second)
                                                          : std::nullopt;
    }

    /// Which captured includes are read as access rules; the manifest does not say.
    void find_rules(const std::string& path, const std::string& text, RulesOf of)
    {
        for (const auto& rule : split_rules(text)) {
            for (const auto& found : rule_includes(rule)) {
                auto target = (fs::path(path).parent_path() / found.include.path);
                auto inner = found.word == "@" ? RulesOf::names : of;
                for (const auto& file : captured_) {
                    if (is_included(file, target.lexically_normal()) &&
                        rules_.emplace(file.path, inner).second)
                        find_rules(file.path, *file.content, inner);
                }
            }
        }
    }

    /// Is it the file `target`, or one in that folder?
    static bool is_included(const CapturedFile& file, const fs::path& target)
    {
        return file.role == "include" && file.content &&
               (file.path == target.native() || file.path.starts_with((target / "").native()));
    }

    /// Does the backup hold all that this list of names includes? Whom the missing ones were for
    /// nobody knows, so a rule cannot go by the rest. `depth`: a list may include itself.
    bool is_whole(const fs::path& target, int depth = 10) const
    {
        if (depth == 0) return false;
        for (const auto& file : captured_) {
            if (!is_included(file, target.lexically_normal())) continue;
            for (const auto& line : split_rules(*file.content)) {
                for (const auto& found : rule_includes(line)) {
                    auto inner =
                        (fs::path(file.path).parent_path() / found.include.path).lexically_normal();
                    const bool here = below(inner, data_.path()) || place_of(inner);
                    if (!here || !is_whole(inner, depth - 1)) return false;
                }
            }
        }
        return true;
    }

    /// The path of `target` from `folder` on, if it lies in it.
    static std::optional<fs::path> below(const fs::path& target, const fs::path& folder)
    {
        auto relative = target.lexically_relative(folder.lexically_normal());
        if (relative.empty() || *relative.begin() == "..") return std::nullopt;
        return relative;
    }

    /// Where the file or folder `target` of the old host is here; absent when the backup holds
    /// nothing of it: such a line would lead to the old place, or keep the server from starting.
    std::optional<std::string> place_of(const fs::path& target) const
    {
        for (const auto& file : captured_) {
            if (is_included(file, target))
                return (data_.path() / kCapturedFolder / target.relative_path()).native();
        }
        // The data directory is in the backup itself.
        auto inner = below(target, old_data_);
        if (inner && data_.exists(inner->string())) return (data_.path() / *inner).native();
        return std::nullopt;
    }

    void make_folders(const fs::path& relative)
    {
        fs::path path;
        for (const auto& part : relative) {
            path /= part;
            data_.make_folder(path.string());
        }
    }

    /// Paths of the old host that this one lacks, or that a server which still runs here writes to:
    /// its statistics (until PostgreSQL 14; Debian's lie below /var/run).
    static void adapt(const ConfLine& setting, ConfEdit& edit)
    {
        const auto& [name, value] = setting;
        bool absolute = value.starts_with('/');
        if (name == "stats_temp_directory" && absolute) edit.settings[name] = std::nullopt;
        if ((name == "ssl_cert_file" || name == "ssl_key_file" || name == "ssl_ca_file" ||
             name == "ssl_crl_file" || name == "ssl_dh_params_file") &&
            absolute && !fs::exists(value)) {
            edit.settings[name] = std::nullopt;
            edit.settings["ssl"] = "off";
        }
        if (name == "unix_socket_directories") {
            auto first = value.substr(0, value.find(','));
            if (first.starts_with('/') && !fs::is_directory(first)) {
                edit.settings[name] = edit.settings["data_directory"];
            }
        }
    }

    const TargetFolder& data_;
    const std::vector<CapturedFile>& captured_;
    HandOver& result_;
    std::map<std::string, std::optional<std::string>> settings_;
    std::map<std::string, RulesOf> rules_; ///< by paths of captured includes
    fs::path old_data_;                    ///< empty when nobody says
};

/// Leaves the backup's files beside as *.from-backup, such that they can be put back as they are
/// and lead nowhere but here. What had to be changed and is in no manifest is kept as *.original.
void leave_beside(const TargetFolder& data, const std::vector<CapturedFile>& captured,
                  HandOver& result, const fs::path& old_data)
{
    Mover mover{data, captured, result, old_data};
    mover.write_includes();
    for (const auto& file : kConfigFiles) {
        auto aside = aside_name(file.name);
        auto text = mover.move(file, aside);
        if (!text) continue;
        if (text->changed && find_role(captured, file.role) == nullptr)
            data.write(aside + ".original", text->before);
        put_file(data, aside, text->changed ? kFittedHeader + text->after : text->before,
                 text->before);
    }
}

} // namespace

void adopt_configuration(const TargetFolder& data)
{
    drop_parked(data);
    for (const auto& file : kConfigFiles) {
        // Not there or a link: what lies beside may have been set aside by a run before this one.
        if (!fs::is_regular_file(fs::symlink_status(data.path() / file.name))) continue;
        auto aside = aside_name(file.name);
        data.remove(aside + ".original");
        data.remove(aside);
        auto text = data.read(file.name);
        if (!is_ours(text)) continue;
        auto first = std::min(text->size(), text->find('\n'));
        data.write(file.name, "# Brought by the backup" + text->substr(first));
    }
}

void write_quarantine(const TargetFolder& data, ServerSetup setup,
                      const std::vector<CapturedFile>& captured, HandOver& result,
                      const fs::path& old_data)
{
    for (const auto& file : kConfigFiles) {
        make_room(data, captured, file);
    }
    std::set<std::string> notes;
    auto note = [&](std::string_view text) {
        note_neutralised(text, setup.preload_libraries, notes);
    };
    note(original(data, captured, kMainConf).value_or(""));
    note(original(data, captured, {"", kAutoConf}).value_or(""));
    for (const auto& file : captured) {
        if (file.role == "include" && file.content) note(*file.content);
    }
    result.neutralised.insert(result.neutralised.end(), notes.begin(), notes.end());
    leave_beside(data, captured, result, old_data);
    setup.hba_file = data.path() / "pg_hba.conf";
    setup.ident_file = data.path() / "pg_ident.conf";
    put_file(data, "pg_hba.conf", private_hba());
    put_file(data, "pg_ident.conf", std::string(kOurMark) + ".\n");
    put_file(data, kAutoConf, std::string(kOurMark) + "; ALTER SYSTEM writes below.\n");
    put_file(data, "postgresql.conf", server_configuration(setup));
    note_kept(data, captured, result);
}

void require_production(const TargetFolder& data, const std::vector<CapturedFile>& captured)
{
    for (const auto& needed : {kMainConf, kHba}) {
        if (!original(data, captured, needed).value_or("").empty()) continue;
        throw base::Error{base::Code::not_restorable,
                          "the backup holds no postgresql.conf or pg_hba.conf to put back",
                          {.hint = "hand over in quarantine, or grant the backup role "
                                   "pg_read_server_files and back up again"}};
    }
}

void write_production(const TargetFolder& data, const std::vector<CapturedFile>& captured,
                      HandOver& result, const fs::path& old_data)
{
    require_production(data, captured);
    for (const auto& file : kConfigFiles) {
        make_room(data, captured, file);
    }
    Mover mover{data, captured, result, old_data};
    // An earlier run came so far; what people mended since is what they want in force.
    mover.write_marked_includes(is_production(data.read(kMainConf.name)));
    for (const auto& file : kConfigFiles) {
        const auto listed = result.changed_lines.size();
        auto text = mover.move(file, file.name);
        auto there = data.read(file.name);
        if (is_production(there) && !is_untouched(there))
            mover.note_left(file.name, listed);
        else
            put_file(data, file.name, marked(text ? text->after : ""),
                     is_production(there) ? there : std::nullopt);
    }
    note_kept(data, captured, result);
}

} // namespace tidemark::engine::postgres
