#include "pair.h"

#include "base/error.h"
#include "cli/group_lab.h"
#include "cli/standbys.h"

namespace tidemark::support {

namespace fs = std::filesystem;

Pair::Pair(const std::string& name, const fs::path& folder)
    : primary_(std::make_unique<app::LabCluster>(app::LabClusterOptions{
          .name = name, .folder = folder, .settings = {{"max_slot_wal_keep_size", "4GB"}}}))
{
    primary_->start();
    standby_ = new_standby(name + "b", folder, *primary_);
    url_ = url_of({primary_.get(), standby_.get()});
    expect_standby();
}

std::string Pair::url() const
{
    return url_;
}

std::string Pair::writers_url() const
{
    return url_ + "&target_session_attrs=read-write";
}

void Pair::expect_standby()
{
    // From a standby's own settings, which are a copy of the primary's, nobody shall be waited for
    // once it is one itself.
    standby_->configure({{"synchronous_standby_names", ""}});
    standby_->reload();
    primary_->configure({{"synchronous_standby_names", "*"}});
    primary_->reload();
    bool streams = eventually([&] {
        return ask(primary_->url(), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = "
                                    "'sync'") == "1";
    });
    if (!streams) throw base::Error{base::Code::failed, "the standby does not stream"};
}

void Pair::fail_over()
{
    primary_->kill9();
    if (ask(standby_->url(), "SELECT pg_promote(true, 60)") != "t")
        throw base::Error{base::Code::failed, "the standby is not promoted"};
    std::swap(primary_, standby_);
}

void Pair::rejoin()
{
    become_standby(*standby_, *primary_);
    expect_standby();
}

void Pair::destroy()
{
    for (auto* one : {primary_.get(), standby_.get()})
        one->kill9();
    for (auto* one : {primary_.get(), standby_.get()})
        one->destroy();
}

} // namespace tidemark::support
