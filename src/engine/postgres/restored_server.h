#pragma once

#include "engine/postgres/pq.h"
#include "engine/postgres/target_folder.h"
#include "engine/restore_target.h"
#include "model/identity.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace tidemark::engine::postgres {

/// In our work folder: the subscriptions that we disabled.
inline constexpr const char* kDisabledSubscriptions = "disabled-subscriptions";
/// The server is open, but by the role or the databases that we know nobody comes in.
bool is_shut_out(const SqlError& error);

/// SQL on a restored server that only we can reach. Every connection is made for one question, so
/// that a restart in between does no harm.
class RestoredServer {
public:
    struct Place {
        std::filesystem::path socket_dir;
        int port = 5432;
        std::string superuser;
        std::string database = {}; ///< accepts connections; empty: one of those every cluster has
    };
    /// `journal` is our work folder: it remembers databases that are opened for a moment, so that
    /// a run after a crash closes them again, and subscriptions that are disabled.
    RestoredServer(Place place, TargetFolder journal)
        : place_(std::move(place)), journal_(std::move(journal))
    {
    }

    /// key=value form for libpq.
    std::string conninfo(const std::string& database) const;
    /// To a database that accepts connections, whichever there is.
    Connection connect() const;
    Connection connect(const std::string& database) const;

    /// Waits until the server accepts connections and has left recovery; `alive` tells whether
    /// waiting still makes sense. False when it does not. Error{failed} when nobody has answered
    /// for `patience`, not even that the server is starting up.
    bool wait_until_open(const std::function<bool()>& alive, std::stop_token stop,
                         base::Duration patience = std::chrono::minutes{5}) const;
    /// Error{identity_mismatch} unless it is the server of `data_dir` and of this system.
    void require_identity(const std::filesystem::path& data_dir,
                          const std::string& system_id) const;

    /// Puts back what an earlier run may have left open.
    void close_opened_databases() const;
    std::vector<model::PreparedBranch> prepared() const;
    /// Finishes the branch in its own database; does nothing when it is finished already.
    void settle(const model::PreparedBranch& branch, bool commit) const;
    /// One statement in a read-only transaction that returns one value; absent is NULL. Names
    /// without a schema are looked up in "$user", public.
    std::optional<std::string> ask(const std::string& database, const std::string& sql,
                                   std::stop_token stop) const;
    const Place& place() const { return place_; }
    /// Switches subscriptions off in every database and remembers which were on; returns
    /// "database.subscription" of each.
    std::vector<std::string> disable_subscriptions() const;
    /// Switches those on again that earlier runs switched off, and forgets them.
    struct Enabled {
        std::vector<std::string> now;    ///< "database.subscription"
        std::vector<std::string> failed; ///< likewise, with the server's words
    };
    Enabled enable_subscriptions() const;
    /// Installs it in every database that accepts connections and lacks it.
    void install_extension(const std::string& name) const;
    /// What an operator should read; `collations` are the versions where the backup was taken.
    std::vector<std::string> warnings(const std::map<std::string, std::string>& collations) const;

private:
    struct Database {
        std::string name;
        bool accepts = true;
    };
    std::vector<Database> databases() const;
    std::vector<Database> databases_with_subscriptions() const;
    void add_database_warnings(const std::string& name, std::vector<std::string>& out) const;
    /// Runs `body` on a connection to the database, which is opened for that time if need be.
    void in_database(const Database& database, const std::function<void(Connection&)>& body) const;

    /// (database, subscription)
    using Subscriptions = std::set<std::pair<std::string, std::string>>;
    Subscriptions disabled_by_us() const;
    void remember_disabled(const Subscriptions& all) const;

    /// Runs a statement that defines something; no event trigger of the backup's runs for it.
    static void define_unseen(Connection& connection, const std::string& statement);
    void set_accepting(Connection& admin, const std::string& database, bool accepting) const;

    Place place_;
    TargetFolder journal_;
};

} // namespace tidemark::engine::postgres
