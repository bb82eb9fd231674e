#include "job/restore_state.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/real_folder.h"
#include "model/gid_text.h"

#include <array>
#include <charconv>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace tidemark::job {

using base::Code;
using base::Error;

namespace {

constexpr std::array<std::string_view, 9> kPhases = {"",         "writing", "written",
                                                     "at_mark",  "claimed", "promoted",
                                                     "compared", "settled", "handed_over"};
constexpr std::size_t kMaxState = 64U << 20;

RestorePhase parse_phase(const std::string& text)
{
    for (std::size_t i = 1; i < kPhases.size(); ++i) {
        if (kPhases[i] == text) return static_cast<RestorePhase>(i);
    }
    throw Error{Code::failed, "unknown phase '" + text + "'"};
}

/// The server's user must not be able to tell us what we did (rules.md 29).
std::optional<base::Bytes> read_own_file(const std::filesystem::path& file)
{
    std::error_code error;
    if (!std::filesystem::exists(std::filesystem::symlink_status(file, error))) return std::nullopt;
    auto folder = base::open_real_folder(file.parent_path());
    auto fd =
        base::open_file(base::path_within(folder, file.filename().native()), O_RDONLY | O_NOFOLLOW);
    if (base::owner_of(fd, file.native()) != ::geteuid())
        throw Error{Code::target_not_empty,
                    file.native() + " belongs to another account, so it is not believed",
                    {.hint = "choose another folder, or remove that one yourself"}};
    base::FdSource source{std::move(fd), file.native()};
    return base::read_all(source, kMaxState);
}

std::uint32_t parse_oid(const std::string& text)
{
    std::uint32_t oid = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), oid);
    if (error != std::errc{} || end != text.data() + text.size())
        throw Error{Code::failed, "'" + text + "' is no tablespace"};
    return oid;
}

/// Foreign text, which may hold any bytes, in a JSON string.
std::string read_word(const std::string& text)
{
    std::string_view rest = text;
    auto word = model::take_gid_word(rest);
    if (!word || !rest.empty()) throw Error{Code::failed, "'" + text + "' is no name"};
    return *word;
}

std::string word_of(const nlohmann::json& from, const char* name)
{
    return read_word(from.at(name).get<std::string>());
}

nlohmann::json decision_json(const Decision& decision)
{
    return {{"xid", decision.xid},
            {"gid", model::gid_word(decision.gid)},
            {"global_id", model::gid_word(decision.global_id)},
            {"database", model::gid_word(decision.database)},
            {"action", decision.action},
            {"evidence", model::gid_word(decision.evidence)},
            {"differs", decision.differs_from_production}};
}

Decision parse_decision(const nlohmann::json& from)
{
    return {.xid = from.at("xid"),
            .gid = word_of(from, "gid"),
            .global_id = word_of(from, "global_id"),
            .database = word_of(from, "database"),
            .action = from.at("action"),
            .evidence = word_of(from, "evidence"),
            .differs_from_production = from.at("differs")};
}

} // namespace

std::string_view phase_name(RestorePhase phase)
{
    return kPhases.at(static_cast<std::size_t>(phase));
}

std::optional<RestoreState> load_restore_state(const std::filesystem::path& file)
{
    auto bytes = read_own_file(file);
    if (!bytes) return std::nullopt;
    try {
        auto json = nlohmann::json::parse(base::as_text(*bytes));
        if (json.at("format") != 1)
            throw Error{Code::repository_newer, "was written by a newer Tidemark"};
        auto target = model::parse_position(json.at("target").get<std::string>());
        if (!target) throw Error{Code::failed, "holds no position"};
        std::map<std::uint32_t, std::string> tablespaces;
        if (auto all = json.find("tablespaces"); all != json.end()) {
            for (const auto& [oid, place] : all->get<std::map<std::string, std::string>>())
                tablespaces.emplace(parse_oid(oid), place);
        }
        std::vector<Decision> decisions;
        if (auto all = json.find("decisions"); all != json.end()) {
            for (const auto& one : *all)
                decisions.push_back(parse_decision(one));
        }
        std::map<std::string, std::string> damaged;
        if (auto all = json.find("damaged"); all != json.end()) {
            for (const auto& [key, sentence] : all->items())
                damaged.emplace(key, word_of(*all, key.c_str()));
        }
        std::vector<std::string> table_warnings;
        if (auto all = json.find("table_warnings"); all != json.end()) {
            for (const auto& sentence : *all)
                table_warnings.push_back(read_word(sentence.get<std::string>()));
        }
        return RestoreState{.repository = json.at("repository"),
                            .group = json.at("group"),
                            .member = json.at("member"),
                            .mark = json.at("mark"),
                            .backup = json.at("backup"),
                            .target = *target,
                            .phase = parse_phase(json.at("phase")),
                            .claimed = json.at("claimed"),
                            .reached = json.at("reached"),
                            .tablespaces = std::move(tablespaces),
                            .decisions = std::move(decisions),
                            .opened = json.value("opened", false),
                            .joint = json.value("joint", model::Number{0}),
                            .ticket = json.value("ticket", std::string{}),
                            .unclaimed = json.value("unclaimed", std::string{}),
                            .damaged = std::move(damaged),
                            .table_warnings = std::move(table_warnings)};
    } catch (const nlohmann::json::exception& error) {
        throw Error{Code::failed,
                    fmt::format("{} cannot be understood: {}", file.string(), error.what()),
                    {.hint = "give this restore up with --discard and start again"}};
    } catch (Error& error) {
        error.add_context(file.string());
        throw;
    }
}

void save_restore_state(const std::filesystem::path& file, const RestoreState& state)
{
    nlohmann::json json = {{"format", 1},
                           {"repository", state.repository},
                           {"group", state.group},
                           {"member", state.member},
                           {"mark", state.mark},
                           {"backup", state.backup},
                           {"target", model::format_position(state.target)},
                           {"phase", phase_name(state.phase)},
                           {"claimed", state.claimed},
                           {"reached", state.reached}};
    for (const auto& [oid, place] : state.tablespaces)
        json["tablespaces"][std::to_string(oid)] = place;
    for (const auto& decision : state.decisions)
        json["decisions"].push_back(decision_json(decision));
    if (state.opened) json["opened"] = true;
    if (state.joint != 0) {
        json["joint"] = state.joint;
        json["ticket"] = state.ticket;
    }
    if (!state.unclaimed.empty()) json["unclaimed"] = state.unclaimed;
    for (const auto& [key, sentence] : state.damaged)
        json["damaged"][key] = model::gid_word(sentence);
    for (const auto& sentence : state.table_warnings)
        json["table_warnings"].push_back(model::gid_word(sentence));
    base::replace_file_in(base::open_real_folder(file.parent_path()), file.filename().native(),
                          base::as_bytes(json.dump(2) + "\n"), file.native());
}

} // namespace tidemark::job
