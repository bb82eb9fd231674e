#include "soak_group.h"

#include "app/config.h"
#include "base/fd.h"
#include "engine/postgres/pq.h"

#include <chrono>
#include <fmt/format.h>
#include <fstream>

namespace tidemark::support {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kOverTcp = 2;

} // namespace

SoakGroup::SoakGroup()
    : config_(folder_.path() / "tidemark.toml"), passwords_(folder_.path() / "pgpass"),
      tool_(folder_.path() / "scratch")
{
    for (std::size_t i = 0; i < 3; ++i) {
        clusters_.push_back(std::make_unique<app::LabCluster>(
            app::LabClusterOptions{.name = fmt::format("m{}", i),
                                   .folder = folder(),
                                   .settings = {{"max_slot_wal_keep_size", "4GB"}},
                                   .tcp = i == kOverTcp}));
        clusters_.back()->start();
        bank.members.push_back({.name = clusters_.back()->name(), .url = clusters_.back()->url()});
    }
    pair_ = std::make_unique<Pair>("m3", folder());
    bank.members.push_back({.name = "m3", .url = pair_->writers_url()});
    base::replace_file(passwords_,
                       base::as_bytes("*:*:*:*:" + cluster(kOverTcp).superuser_password() + "\n"));
    bank.pace = std::chrono::milliseconds{100};
    bank.crash_share = 0.01;
    app::create_bank(bank);
    // Otherwise a full backup is over before anything can go wrong with it.
    for (const auto& one : bank.members)
        engine::postgres::Connection::open(one.url).exec(
            "CREATE TABLE public.ballast AS SELECT i, repeat(md5(i::text), 12) FROM "
            "generate_series(1, 100000) i");
    write_configuration();
}

std::string SoakGroup::tcp_url() const
{
    return fmt::format("postgresql://postgres@127.0.0.1:{}/postgres?passfile={}",
                       clusters_[kOverTcp]->port(), passwords_.string());
}

void SoakGroup::write_configuration() const
{
    model::GroupSpec group;
    group.name = "shop";
    for (std::size_t i = 0; i < clusters_.size(); ++i) {
        model::MemberSpec member;
        member.name = clusters_[i]->name();
        member.url = i == kOverTcp ? tcp_url() : clusters_[i]->url();
        if (i != kOverTcp) member.data_dir = clusters_[i]->data_dir();
        group.members.push_back(member);
    }
    model::MemberSpec pair;
    pair.name = "m3";
    pair.url = pair_->url();
    group.members.push_back(pair);
    model::RepositorySpec spec{.name = "main", .url = repository().string()};
    auto text = app::render_config(spec, group);
    auto head = text.find("keep = ");
    text.insert(head, "full = \"hourly :30\"\n");
    base::replace_file(config_, base::as_bytes(text));
}

base::Process SoakGroup::spawn(Tool::Arguments arguments) const
{
    arguments.insert(arguments.end(), {"--config", config_.string()});
    return tool_.spawn(arguments);
}

ToolRun SoakGroup::run(Tool::Arguments arguments) const
{
    arguments.insert(arguments.end(), {"--config", config_.string()});
    return tool_.run(arguments);
}

ToolRun SoakGroup::run_without_configuration(Tool::Arguments arguments) const
{
    arguments.insert(arguments.end(), {"--repo", repository().string()});
    return tool_.run(arguments);
}

void SoakGroup::change_password(bool right)
{
    auto& one = cluster(kOverTcp);
    auto sql = fmt::format("ALTER ROLE postgres PASSWORD '{}'",
                           right ? one.superuser_password() : "another");
    engine::postgres::Connection::open(one.url()).exec(sql);
}

void SoakGroup::destroy()
{
    for (auto& one : clusters_)
        one->kill9();
    for (auto& one : clusters_)
        one->destroy();
    pair_->destroy();
    fs::remove(config_);
    fs::remove(passwords_);
}

app::BankOptions SoakGroup::restored_bank() const
{
    auto out = bank;
    for (auto& member : out.members) {
        std::ifstream file(restored() / member.name / "data/postmaster.pid");
        std::string line, port, socket;
        for (int at = 1; std::getline(file, line); ++at) {
            if (at == 4) port = line;
            if (at == 5) socket = line;
        }
        member.url = fmt::format("host={} port={} user=postgres dbname=postgres", socket, port);
    }
    return out;
}

} // namespace tidemark::support
