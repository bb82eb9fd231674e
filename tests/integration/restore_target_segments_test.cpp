// Segments that are not the usual size.

#include "restore_target_lab.h"

namespace tidemark::engine::postgres {
namespace {

// rule 11
TEST(RestoreTargetSegmentsTest, LargeOnesAreRestored)
{
    LabFolder folder;
    auto archive = folder.make("archive");
    LabCluster cluster{
        {.name = "large",
         .folder = folder.path(),
         .settings = {{"archive_mode", "on"},
                      {"archive_command", fmt::format("cp %p {}/%f", archive.native())}},
         .wal_segment_mb = 64}};
    for (const auto& [name, value] : app::library_path(cluster.install().bin))
        ::setenv(name.c_str(), value.c_str(), 1);
    cluster.start();
    MemberConfig member;
    member.name = "large";
    member.url = cluster.url();
    member.data_dir = cluster.data_dir();
    auto source = begin_postgres_backup(member, {.label = "large segments"});
    support::FolderSink sink{folder.path() / "scratch"};
    auto end = support::take_backup(*source, sink);
    auto home = folder.make("home");
    sink.place(home / "d", home / "ts");

    RecoverySpec spec;
    {
        auto sql = Connection::open(cluster.url(), {.settings = {"search_path=public"}});
        sql.exec("CREATE TABLE kept AS SELECT 7 AS id");
        spec.goal.position = sql.exec("SELECT pg_current_wal_insert_lsn()").lsn(0, 0);
        sql.exec("SELECT pg_create_restore_point('goal')");
        sql.exec("INSERT INTO kept VALUES (8)");
        auto last =
            archive / std::string(sql.exec("SELECT pg_walfile_name(pg_switch_wal())").get(0, 0));
        for (int i = 0; i < 1000 && !fs::exists(last); ++i)
            std::this_thread::sleep_for(20ms);
        ASSERT_TRUE(fs::exists(last));
    }
    cluster.stop();

    spec.goal.epoch = 1;
    spec.restore_command = fmt::format("cp {}/%f \"%p\"", archive.native());
    spec.backup_label = end.backup_label;
    spec.superuser = "postgres";
    TargetConfig config;
    config.member = "large";
    config.dir = home / "d";
    config.work_dir = home / "work";
    if (::geteuid() == 0) config.user = app::lab_user()->name;
    config.bin_dir = cluster.install().bin;
    config.version_num = cluster.install().major * 10000;
    auto target = open_postgres_target(config);
    target->preflight();
    target->prepare(spec);
    EXPECT_EQ(target->recover({}, {}).position.offset, *spec.goal.position);
    target->promote({});
    EXPECT_EQ(target->ask("postgres", "SELECT sum(id)::text FROM kept", {}), "7");
    hand_over(*target, {}, true); // in quarantine
    {
        auto sql = Connection::open(
            fmt::format("host={} user=postgres dbname=postgres", config.dir.native()));
        EXPECT_EQ(sql.exec("SHOW wal_segment_size").get(0, 0), "64MB");
        EXPECT_EQ(sql.exec("SHOW min_wal_size").get(0, 0), "128MB");
    }
    target->take_back();
}

} // namespace
} // namespace tidemark::engine::postgres
