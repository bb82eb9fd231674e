#include "engine/postgres/restore_work.h"

#include "base/error.h"
#include "engine/postgres/conf_file.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace tidemark::engine::postgres {

namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;

constexpr const char* kMemoryFile = "restore.conf";
constexpr const char* kReachedFile = "reached";
constexpr const char* kSocketDirFile = "socket-dir";
constexpr int kPort = 5432; // the folder is private, so any number will do

const char* purpose_name(ServerPurpose purpose)
{
    switch (purpose) {
    case ServerPurpose::recover:
        return "recover";
    case ServerPurpose::promote:
        return "promote";
    default:
        return "run";
    }
}

} // namespace

std::string format_memory(const RestoreMemory& memory)
{
    std::string text = "# Written by tidemark: the goal of this restore.\n";
    const auto& goal = memory.goal;
    text += conf_line("epoch", std::to_string(goal.epoch));
    if (goal.position) text += conf_line("position", model::format_offset(*goal.position));
    if (goal.time) text += conf_line("time", base::format_time(*goal.time));
    if (goal.name) text += conf_line("name", *goal.name);
    text += conf_line("restore_command", memory.restore_command);
    text += conf_line("superuser", memory.superuser);
    if (!memory.database.empty()) text += conf_line("database", memory.database);
    for (const auto& [name, value] : memory.limits)
        text += conf_line("limit." + name, value);
    if (memory.creates_tablespaces) text += conf_line("creates_tablespaces", "on");
    for (const auto& [locale, version] : memory.collations) {
        text += conf_line("collation", fmt::format("{}={}", locale, version));
    }
    return text;
}

RestoreMemory parse_memory(std::string_view text)
{
    RestoreMemory memory;
    for (const auto& line : split_lines(text)) {
        auto parsed = parse_conf_line(line);
        if (!parsed) continue;
        const auto& [name, value] = *parsed;
        auto& goal = memory.goal;
        if (name == "epoch") {
            std::from_chars(value.data(), value.data() + value.size(), goal.epoch);
        } else if (name == "position") {
            goal.position = model::parse_offset(value);
        } else if (name == "time") {
            goal.time = base::parse_time(value);
        } else if (name == "name") {
            goal.name = value;
        } else if (name == "restore_command") {
            memory.restore_command = value;
        } else if (name == "superuser") {
            memory.superuser = value;
        } else if (name == "database") {
            memory.database = value;
        } else if (name.starts_with("limit.")) {
            memory.limits[name.substr(6)] = value;
        } else if (name == "creates_tablespaces") {
            memory.creates_tablespaces = value == "on";
        } else if (name == "collation" && value.rfind('=') != std::string::npos) {
            auto at = value.rfind('=');
            memory.collations[value.substr(0, at)] = value.substr(at + 1);
        }
    }
    return memory;
}

bool can_hold_socket(const fs::path& folder)
{
    // sun_path, and the lock file beside the socket.
    constexpr std::size_t kLongest = 107 - sizeof("/.s.PGSQL.65535.lock");
    const auto& text = folder.native();
    return text.size() <= kLongest && text.find_first_of(",\"") == text.npos;
}

RestoreWork::RestoreWork(const TargetConfig& config, std::optional<base::User> user)
    : config_(config), user_(std::move(user)),
      folder_(config.work_dir, user_, TargetFolder::Of::us), data_(config.dir, user_)
{
}

void RestoreWork::remember(const RestoreMemory& memory)
{
    folder_.write(kMemoryFile, format_memory(memory));
    memory_ = memory;
}

const RestoreMemory& RestoreWork::memory()
{
    if (!memory_) {
        auto text = folder_.read(kMemoryFile);
        if (!text) {
            throw Error{Code::failed,
                        fmt::format("nothing was prepared in {}", folder_.path().native())};
        }
        memory_ = parse_memory(*text);
    }
    return *memory_;
}

std::optional<Reached> RestoreWork::reached()
{
    auto text = folder_.read(kReachedFile);
    if (!text) return std::nullopt;
    Reached reached;
    for (const auto& line : split_lines(*text)) {
        auto parsed = parse_conf_line(line);
        if (!parsed) continue;
        if (parsed->name == "evidence") reached.evidence = parsed->value;
        if (parsed->name == "position") {
            auto position = model::parse_position(parsed->value);
            if (!position) return std::nullopt;
            reached.position = *position;
        }
    }
    return reached;
}

void RestoreWork::set_reached(const std::optional<Reached>& reached)
{
    if (!reached) return folder_.remove(kReachedFile);
    folder_.write(kReachedFile, conf_line("position", model::format_position(reached->position)) +
                                    conf_line("evidence", reached->evidence));
}

fs::path RestoreWork::socket_dir()
{
    if (auto known = folder_.read(kSocketDirFile); known && fs::is_directory(*known)) return *known;
    fs::path path = folder_.path() / "s";
    if (can_hold_socket(path)) {
        TargetFolder{path, user_}.create();
    } else {
        std::string name = "/tmp/tidemark-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            throw base::system_error("cannot create " + name, errno);
        path = name;
        // Between the two calls it is ours, and /tmp is sticky: it is still the one we made.
        if (user_ && ::lchown(path.c_str(), user_->uid, user_->gid) != 0)
            throw base::system_error("cannot give away " + name, errno);
    }
    folder_.write(kSocketDirFile, path.native());
    return path;
}

void RestoreWork::remove_outside()
{
    auto known = folder_.read(kSocketDirFile);
    // Only a folder that we made: the file could be anybody's.
    if (!known || !known->starts_with("/tmp/tidemark-") || known->find('/', 5) != known->npos)
        return;
    TargetFolder sockets{*known, user_};
    if (fs::is_directory(fs::symlink_status(*known))) {
        for (const auto* name : {".s.PGSQL.5432", ".s.PGSQL.5432.lock"})
            sockets.remove(name);
        ::rmdir(known->c_str()); // what else lies there is not ours
    }
    folder_.remove(kSocketDirFile);
}

ServerSetup RestoreWork::setup(ServerPurpose purpose, const ControlFile& control)
{
    ServerSetup setup;
    setup.purpose = purpose;
    setup.major = config_.version_num / 10000;
    setup.data_dir = config_.dir;
    setup.hba_file = config_.work_dir / "pg_hba.conf";
    setup.ident_file = config_.work_dir / "pg_ident.conf";
    setup.socket_dir = socket_dir();
    setup.port = kPort;
    setup.goal = memory().goal;
    setup.restore_command = memory().restore_command;
    setup.limits = memory().limits;
    setup.tablespaces_inside = memory().creates_tablespaces;
    setup.track_commit_timestamp = control.track_commit_timestamp;
    setup.wal_segment_size = control.wal_segment_size;
    setup.preload_libraries = config_.preload_libraries;
    return setup;
}

ServerLaunch RestoreWork::configure(ServerPurpose purpose, const fs::path& bin_dir,
                                    const ControlFile& control)
{
    std::string name = purpose_name(purpose);
    folder_.write("pg_hba.conf", private_hba());
    folder_.write("pg_ident.conf", "");
    folder_.write(name + ".conf", server_configuration(setup(purpose, control)));
    return {.bin_dir = bin_dir,
            .data_dir = config_.dir,
            .work_dir = config_.work_dir,
            .config_file = config_.work_dir / (name + ".conf"),
            .log_file = config_.work_dir / (name + ".log"),
            .user = user_};
}

RestoredServer RestoreWork::server()
{
    return RestoredServer{{socket_dir(), kPort, memory().superuser, memory().database}, folder_};
}

} // namespace tidemark::engine::postgres
