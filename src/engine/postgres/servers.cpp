#include "engine/postgres/servers.h"

#include "base/fd.h"
#include "engine/postgres/control_file.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mutex>
#include <thread>

namespace tidemark::engine::postgres {

namespace {

using base::Code;
using base::Error;
using std::chrono::steady_clock;

/// How long the others may take once a primary is known.
constexpr std::chrono::seconds kGrace{1};

constexpr const char* kWhoQuery = R"sql(
SELECT system_identifier::text, pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN NULL
            ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
  FROM pg_control_system())sql";

struct Answer {
    std::optional<Connection> sql;
    std::optional<Error> error;
    std::string system_id;
    bool writes = false;
    model::Epoch epoch = 0;
    bool finished = false;
};

void ask(const ServerUrl& server, const ConnectOptions& options, Answer& out)
{
    Connection sql = Connection::open(server.conninfo, options);
    const Result row = sql.exec(kWhoQuery, Wait::within(options.timeout, options.stop));
    out.system_id = std::string(row.get(0, 0));
    out.writes = !row.boolean(0, 1).value_or(true);
    const std::string_view hex = row.get(0, 2);
    std::from_chars(hex.data(), hex.data() + hex.size(), out.epoch, 16);
    out.sql.emplace(std::move(sql));
}

/// Asks all of them, each on its own thread.
std::vector<Answer> ask_all(const std::vector<ServerUrl>& servers, const ConnectOptions& options)
{
    std::vector<Answer> answers(servers.size());
    std::mutex mutex;
    std::condition_variable_any wake;
    std::stop_source over;
    const std::stop_callback told(options.stop, [&] { over.request_stop(); });
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        threads.emplace_back([&, i] {
            Answer answer;
            ConnectOptions mine = options;
            mine.stop = over.get_token();
            try {
                ask(servers[i], mine, answer);
            } catch (const Error& error) {
                answer.error = error;
            } catch (const std::exception& error) {
                answer.error = Error{Code::failed, error.what()};
            }
            answer.finished = true;
            const std::lock_guard lock(mutex);
            answers[i] = std::move(answer);
            wake.notify_all();
        });
    }
    std::unique_lock lock(mutex);
    const auto all = [&] { return std::ranges::all_of(answers, &Answer::finished); };
    const auto found = [&] { return all() || std::ranges::any_of(answers, &Answer::writes); };
    wake.wait(lock, found);
    wake.wait_until(lock, steady_clock::now() + kGrace, all);
    lock.unlock();
    over.request_stop();
    threads.clear();
    return answers;
}

[[noreturn]] void throw_no_primary(const std::vector<ServerUrl>& servers,
                                   const std::vector<Answer>& answers)
{
    std::vector<std::string> each;
    bool standby = false;
    const Error* first = nullptr;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        if (!answers[i].error) {
            standby = true;
            each.push_back(servers[i].name + " is a standby");
            continue;
        }
        if (first == nullptr) first = &*answers[i].error;
        each.push_back(fmt::format("{}: {}", servers[i].name, answers[i].error->message()));
    }
    const auto list = fmt::format("{}", fmt::join(each, "; "));
    if (standby)
        throw Error{Code::member_not_ready,
                    "no server of the member's url accepts writes: " + list,
                    {.hint = "promote one, or name the primary in the url, too; nothing is lost, "
                             "the slots keep the log",
                     .transient = true}};
    throw Error{first->code(),
                "no server of the member's url can be reached: " + list,
                {.hint = first->hint(), .transient = first->transient()}};
}

void require_one_cluster(const std::vector<ServerUrl>& servers, const std::vector<Answer>& answers)
{
    const Answer* known = nullptr;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        if (answers[i].error) continue;
        if (known == nullptr) known = &answers[i];
        if (answers[i].system_id == known->system_id) continue;
        throw Error{Code::identity_mismatch,
                    fmt::format("the member's url names servers of different clusters: {} has "
                                "system identifier {}, another {}",
                                servers[i].name, answers[i].system_id, known->system_id),
                    {.hint = "let the url name one primary and its standbys"}};
    }
}

} // namespace

std::vector<ServerUrl> servers_of(const MemberConfig& member)
{
    std::vector<ServerUrl> out = split_servers(member.url);
    for (const std::string& url : member.more_urls) {
        for (ServerUrl& server : split_servers(url))
            out.push_back(std::move(server));
    }
    return out;
}

Reached reach_member(const MemberConfig& member, const ConnectOptions& options)
{
    std::vector<ServerUrl> servers = servers_of(member);
    if (servers.size() == 1)
        return {.sql = Connection::open(servers[0].conninfo, options),
                .server = servers[0],
                .others = {}};
    std::vector<Answer> answers = ask_all(servers, options);
    if (options.stop.stop_requested()) throw Error{Code::cancelled, "stopped while connecting"};
    require_one_cluster(servers, answers);
    std::size_t best = servers.size();
    bool twice = false;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        if (!answers[i].writes) continue;
        if (best != servers.size() && answers[i].epoch <= answers[best].epoch) {
            twice = twice || answers[i].epoch == answers[best].epoch;
            continue;
        }
        twice = false;
        best = i;
    }
    if (best == servers.size()) throw_no_primary(servers, answers);
    if (twice)
        throw Error{Code::identity_mismatch,
                    fmt::format("two servers of the member's url accept writes on timeline {}, one "
                                "of them is {}",
                                answers[best].epoch, servers[best].name),
                    {.hint = "find out which of them the applications use, and stop the other"}};
    Reached out{.sql = std::move(*answers[best].sql), .server = servers[best], .others = {}};
    servers.erase(servers.begin() + static_cast<std::ptrdiff_t>(best));
    out.others = std::move(servers);
    return out;
}

bool runs_on(Connection& sql, const std::filesystem::path& data_dir)
{
    // A checkpoint between the two readings is not likely twice.
    for (int attempt = 0; attempt < 3; ++attempt) {
        try {
            const Result row = sql.exec("SELECT s.system_identifier::text, c.checkpoint_lsn "
                                        "FROM pg_control_system() s, pg_control_checkpoint() c");
            const ControlFile control =
                parse_control_file(base::read_file(data_dir / kControlPath, kControlFileSize));
            if (std::to_string(control.system_id) != row.get(0, 0)) return false;
            if (control.state != ClusterState::in_production) return false;
            if (row.lsn(0, 1) == control.checkpoint.offset) return true;
        } catch (const SqlError&) {
            throw;
        } catch (const Error&) {
            continue; // being rewritten, or not readable at all
        }
    }
    return false;
}

} // namespace tidemark::engine::postgres
