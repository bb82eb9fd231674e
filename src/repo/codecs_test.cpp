#include "base/error.h"
#include "repo/backups.h"
#include "repo/drills.h"
#include "repo/golden_json_testing.h"
#include "repo/identities.h"
#include "repo/lease_codec.h"
#include "repo/marks.h"
#include "repo/repository.h"
#include "repo/runs.h"
#include "repo/sets.h"
#include "store/memory.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace tidemark::repo {
namespace {

using base::Error;

base::Time at(std::string_view text)
{
    return base::parse_time(text).value();
}

model::Digest digest(std::uint8_t seed)
{
    model::Digest out{};
    for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = static_cast<std::byte>(seed + i);
    return out;
}

CommitHeader header(model::Number number)
{
    return {.number = number,
            .lease = LeaseStamp{.activity = "log", .number = 17},
            .predecessor = model::ObjectRef{.key = "before", .size = 3, .sha256 = digest(9)},
            .nonce = "abcdef0123456789"};
}

model::Identity identity()
{
    model::Identity out;
    out.system_id = "7312345678901234567";
    out.version_num = 150018;
    out.version = "15.18";
    out.position = {.epoch = 2, .offset = 0x16B374D848};
    out.log_segment_size = 16 << 20;
    out.page_checksums = true;
    out.data_directory = "/var/lib/postgresql/15/main";
    out.settings = {{"max_connections", "100"}, {"wal_level", "replica"}};
    return out;
}

model::Manifest manifest()
{
    model::Manifest out;
    out.group = "shop";
    out.member = "orders";
    out.over_wire = true;
    out.start = {.epoch = 2, .offset = 0x1000028};
    out.checkpoint = {.epoch = 2, .offset = 0x1000060};
    out.stop = {.epoch = 2, .offset = 0x1000100};
    out.started = at("2026-11-22T14:00:00.000001Z");
    out.ended = at("2026-11-22T14:05:00Z");
    out.backup_label = std::string("START WAL LOCATION: 0/1000028\nLABEL: \xff\xfe\n");
    out.tablespace_map = "16400 /mnt/fast\n";
    out.identity = identity();
    out.history = model::History{2, {{.epoch = 1, .left_at = 0x900000}}};
    out.facts.captured = {
        {.path = "/etc/postgresql/15/main/pg_hba.conf", .role = "hba", .content = "local all\n"},
        {.path = "/etc/ssl/key.pem", .role = "tls", .content = {}}};
    out.facts.bootstrap_superuser = "postgres";
    out.facts.databases = {{1, "template1"}, {16384, "sh\xC3\xB6p"}};
    out.facts.collation_versions = {{"libc:de_DE.utf8", "2.36"}};
    out.facts.settings = {{"shared_buffers", "128MB"}};
    out.facts.tablespaces = {{16400, "/mnt/fast"}};
    out.packs = {{.key = "p0", .size = 10, .frames = 2, .plain_bytes = 99, .root = digest(1)}};
    out.page_map = {.key = "map", .size = 77, .sha256 = digest(2)};
    out.totals = {.files = 4,
                  .plain_bytes = 5,
                  .file_bytes = 6,
                  .stored_bytes = 7,
                  .pages_verified = 8,
                  .pages_reread = 9};
    out.damaged = {{.path = "base/1/1259", .block = 3, .why = "checksum 1234, expected 4321"}};
    out.prepared_xids = {731, 4294967295};
    return out;
}

model::Branch branch(const std::string& gid, std::uint32_t xid)
{
    model::Branch out;
    out.member = "orders";
    out.epoch = 2;
    out.xid = xid;
    out.gid = gid;
    out.global_id = xid % 2 == 0 ? gid : "global-" + gid;
    out.matched = xid % 3 != 0;
    out.database = 16384;
    out.database_name = "shop";
    out.owner = 10;
    out.owner_name = "app";
    out.prepare_start = 0x1000;
    out.prepare_end = 0x1100;
    out.prepared_at = at("2026-11-22T14:00:01Z");
    out.finish = model::Finish::committed;
    out.finish_epoch = 2;
    out.finish_start = 0x2000;
    out.finish_end = 0x2040;
    out.finished_at = at("2026-11-22T14:00:02Z");
    out.commit_unseen = true;
    return out;
}

model::Mark mark()
{
    model::Mark out;
    out.name = "before-migration";
    out.group = "shop";
    out.restore_point = "tidemark.before-migration.1";
    out.created = at("2026-11-22T14:31:07.123456Z");
    out.spread = std::chrono::microseconds{1700};
    model::MarkMember line;
    line.name = "orders";
    line.engine = "postgresql";
    line.system_id = "7312345678901234567";
    line.version = "15.18";
    line.history = model::History{2, {{.epoch = 1, .left_at = 0x900000}}};
    line.b = 0x1000000;
    line.r = 0x1000100;
    line.r_end = 0x1000168;
    line.e = 0x1000200;
    line.cut = {.epoch = 2, .offset = 0x1000080};
    line.log_end = 0x1000200;
    line.retreat_bytes = 0x80;
    line.retreat = model::Retreat{.global_id = "g1",
                                  .xid = 733,
                                  .commit = {.epoch = 2, .offset = 0x1000080},
                                  .because_of = "stock",
                                  .prepare = {.epoch = 1, .offset = 0x777}};
    line.clock = model::ClockReading{.offset = std::chrono::microseconds{-1500},
                                     .error = std::chrono::microseconds{90}};
    out.members = {line};
    out.iterations = 2;
    out.previous = "m-6";
    out.anchor = {{{"orders", 0x500}, {"stock", 0x600}}, {{"orders", 0x501}, {"stock", 0x601}}};
    model::InDoubt doubt;
    doubt.branch = branch("g\x01\xff", 733);
    doubt.verdict = {.decision = model::Decision::commit,
                     .reason = model::Reason::committed,
                     .committed_by = "stock",
                     .committed_at = {.epoch = 1, .offset = 0x888},
                     .evidence = "committed at stock"};
    doubt.differs_from_production = true;
    out.at.in_doubt = {doubt};
    model::TransactionAt spanning{.global_id = "g1", .ambiguous = true, .parts = {}};
    for (auto state :
         {model::StateAt::absent, model::StateAt::in_doubt, model::StateAt::committed,
          model::StateAt::rolled_back, model::StateAt::finished_unseen, model::StateAt::lost})
        spanning.parts.push_back({.branch = branch("g1", 734), .state = state});
    out.at.spanning = {spanning};
    out.at.torn = {spanning};
    out.at.damaged = {spanning};
    out.at.lost = {spanning};
    out.at.ambiguous_ids = {"order-123"};
    model::UnknownFinish finish{.member = "orders",
                                .epoch = 2,
                                .xid = 9,
                                .committed = true,
                                .start = 0x10,
                                .end = 0x20,
                                .at = at("2026-11-22T14:00:03Z")};
    out.at.unknown_finishes = {finish};
    out.table.members["orders"] = {
        .epoch = 2, .b = 1, .r = 2, .e = 3, .complete_from = 0, .clock = line.clock};
    out.table.members["stock"] = {
        .epoch = 1, .b = 4, .r = 5, .e = 6, .complete_from = {}, .clock = {}};
    auto seeded = branch("old", 12);
    seeded.seeded = true;
    seeded.finish = model::Finish::open;
    seeded.prepare_start = seeded.prepare_end = 0;
    out.table.branches = {seeded, branch("g2", 735)};
    out.table.unknown_finishes = {finish};
    out.violations = {{.kind = model::ViolationKind::below_lower_bound,
                       .member = "orders",
                       .cut = 5,
                       .bound = 6,
                       .global_id = "g1"}};
    out.flags = {.two_phase_only = false,
                 .heuristic_damage = true,
                 .differs_from_production = true,
                 .unknown_verdicts = true,
                 .lost_prepares = true,
                 .unknown_finishes = true,
                 .relies_on_clocks = true};
    return out;
}

model::ObjectRef object()
{
    return {.key = "groups/shop/x/0000000007", .size = 1, .sha256 = digest(3)};
}

model::BackupSet set()
{
    model::BackupSet out;
    out.group = "shop";
    out.kind = model::SetKind::full;
    out.mark = 7;
    out.started = at("2026-11-22T14:00:00Z");
    out.ended = at("2026-11-22T14:09:00Z");
    out.members["orders"] = {
        .backup = 3,
        .pieces = {{.range = {.epoch = 2, .from = 1, .to = 9}, .object = object()}},
        .log_from = model::LogPosition{.epoch = 2, .offset = 1},
        .log_to = model::LogPosition{.epoch = 2, .offset = 9}};
    out.members["stock"] = {};
    return out;
}

model::MemberIdentity member()
{
    model::MemberIdentity out;
    out.group = "shop";
    out.member = "orders";
    out.identity = identity();
    out.slot = "tidemark_shop_orders";
    out.log_start = {.epoch = 2, .offset = 16 << 20};
    out.seeds = {{.xid = 731,
                  .gid = "old",
                  .prepared_at = at("2026-11-21T00:00:00Z"),
                  .database = 5,
                  .database_name = "postgres",
                  .owner = 10,
                  .owner_name = "postgres",
                  .gone = true}};
    out.anchor = {{{"orders", 5}, {"stock", 6}}};
    out.history = "1\t0/900000\tno recovery target specified\n";
    out.recorded = at("2026-11-22T13:00:00Z");
    out.reason = "init";
    return out;
}

model::Run run()
{
    return {.group = "shop",
            .command = "backup",
            .host = "db1",
            .started = at("2026-11-22T13:00:00Z"),
            .ended = at("2026-11-22T13:01:00Z"),
            .exit_code = 11,
            .error = model::RunError{.code = "lease_held", .message = "held", .hint = "wait"},
            .warnings = {"clock"},
            .set = 3,
            .mark = {}};
}

model::Drill drill()
{
    model::Drill out;
    out.kind = model::DrillKind::restore;
    out.group = "shop";
    out.host = "db9";
    out.mark = 7;
    out.mark_name = "nightly";
    out.mark_time = at("2026-11-22T02:00:00Z");
    out.started = at("2026-11-22T13:00:00Z");
    out.ended = at("2026-11-22T13:11:00Z");
    out.restore_took = std::chrono::minutes{9};
    out.members = {{.name = "orders",
                    .backup = 3,
                    .bytes = 1000,
                    .log_bytes = 50,
                    .target = {1, 0x3000000},
                    .reached = {1, 0x3000000},
                    .evidence = "recovery stopping before WAL location"}};
    out.stages = {{.member = "orders",
                   .name = "write files",
                   .start = std::chrono::seconds{1},
                   .took = std::chrono::minutes{3}}};
    out.checks = {{.name = "assertion",
                   .subject = "money",
                   .member = "orders",
                   .result = model::CheckResult::failed,
                   .text = "returned false",
                   .details = {"line 3"},
                   .value = "f",
                   .took = std::chrono::seconds{2}}};
    out.decisions = {{.member = "orders",
                      .gid = "g",
                      .global_id = "G",
                      .database = "shop",
                      .action = "commit",
                      .evidence = "committed by stock",
                      .differs_from_production = true}};
    out.warnings = {"collation"};
    out.failure = "stopped";
    out.whole_group = false;
    return out;
}

LeaseState lease()
{
    LeaseState out;
    out.activity = "backup/orders";
    out.number = 12;
    out.term = 9;
    out.held = true;
    out.owner = {.host = "db1",
                 .boot = "3c1f5d3e-0000-4000-8000-000000000000",
                 .pid_namespace = "pid:[4026531836]",
                 .pid = 4711,
                 .pid_start = 123456,
                 .command = "tidemark backup shop"};
    out.since = at("2026-11-22T14:00:00Z");
    out.ttl = std::chrono::seconds{60};
    out.token = "00112233445566778899aabbccddeeff";
    return out;
}

TEST(Codecs, Manifest)
{
    auto back = decode_manifest(encode_manifest(manifest(), header(7)), object());
    EXPECT_EQ(back.header, header(7));
    EXPECT_EQ(back.object, object());
    EXPECT_EQ(back.value, manifest());
    auto many = manifest();
    many.totals.pages_damaged = 100000;
    EXPECT_EQ(decode_manifest(encode_manifest(many, header(7)), object()).value, many);
}

TEST(Codecs, Mark)
{
    auto back = decode_mark(encode_mark(mark(), header(7)), object());
    auto expected = mark();
    expected.number = 7;
    expected.id = "m-7";
    EXPECT_EQ(back.header, header(7));
    EXPECT_EQ(back.value, expected);
}

TEST(Codecs, MarkWithDecisionTables)
{
    auto one = mark();
    one.decision_tables = {{"orders", "public.outcome.gid"}, {"stock", "none"}};
    one.decided = {
        {.member = "stock", .gid = "g/1", .global_id = "g", .commit = {.epoch = 3, .offset = 77}},
        {.member = "stock", .gid = "h/1", .global_id = "h", .commit = {3, 66}, .carried = true},
        {.member = "stock",
         .gid = "i/1",
         .global_id = "i",
         .commit = {3, 55},
         .carried = true,
         .failed_over = {"orders"},
         .found = base::parse_time("2026-11-22T12:00:00.000001Z"),
         .inherited = true}};
    one.decided_left_out = 500;
    auto back = decode_mark(encode_mark(one, header(7)), object());
    EXPECT_EQ(back.value.decision_tables, one.decision_tables);
    EXPECT_EQ(back.value.decided, one.decided);
    EXPECT_EQ(back.value.decided_left_out, 500U);
}

TEST(Codecs, EveryEnumerator)
{
    auto one = mark();
    for (std::uint8_t i = 0; i <= 8; ++i) {
        one.at.in_doubt[0].verdict.reason = static_cast<model::Reason>(i);
        one.at.in_doubt[0].verdict.decision = static_cast<model::Decision>(i % 3);
        one.at.in_doubt[0].branch.finish = static_cast<model::Finish>(i % 5);
        one.violations[0].kind = static_cast<model::ViolationKind>(i % 6);
        one.at.in_doubt[0].branch.id_mixed = i % 2 == 1;
        one.at.in_doubt[0].branch.abandoned_commit = {.epoch = i, .offset = i};
        auto back = decode_mark(encode_mark(one, header(7)), object());
        EXPECT_EQ(back.value.at, one.at);
        EXPECT_EQ(back.value.violations, one.violations);
    }
}

TEST(Codecs, Set)
{
    auto one = set();
    EXPECT_EQ(decode_set(encode_set(one, header(8)), object()).value, one);
    one.members["orders"].pieces[0].range.to = 1;
    EXPECT_THROW(decode_set(encode_set(one, header(8)), object()), Error) << "an empty piece";
}

TEST(Codecs, MemberIdentity)
{
    EXPECT_EQ(decode_identity(encode_identity(member(), header(1)), object()).value, member());
}

TEST(Codecs, Run)
{
    auto one = run();
    EXPECT_EQ(decode_run(encode_run(one, header(2)), object()).value, one);
    one.broken_off = true;
    EXPECT_EQ(decode_run(encode_run(one, header(2)), object()).value, one);
    one.exit_code = 256;
    EXPECT_THROW(decode_run(encode_run(one, header(2)), object()), Error);
}

TEST(Codecs, Drill)
{
    EXPECT_EQ(decode_drill(encode_drill(drill(), header(2)), object()).value, drill());
    auto least = model::Drill{};
    least.started = least.ended = least.mark_time = at("2026-11-22T13:00:00Z");
    EXPECT_EQ(decode_drill(encode_drill(least, header(2)), object()).value, least);
    auto damaged = drill();
    damaged.half_there = {"h is committed at orders and rolled back at stock"};
    EXPECT_EQ(decode_drill(encode_drill(damaged, header(2)), object()).value, damaged);
}

TEST(Codecs, AMarkSaysHowItReadGids)
{
    auto one = mark();
    one.members.front().gid_pattern = one.table.members.at("orders").gid_pattern =
        "regex:(.*)_[0-9]+";
    auto back = decode_mark(encode_mark(one, header(7)), object()).value;
    EXPECT_EQ(back.members, one.members);
    EXPECT_EQ(back.table, one.table);
}

TEST(Codecs, GoldenObjectsAreReadAndWrittenAsEver)
{
    auto back = decode_mark(golden_json("mark", encode_mark(mark(), header(7))), object());
    EXPECT_EQ(back.value.table, mark().table);
    EXPECT_EQ(back.value.at, mark().at);
    EXPECT_EQ(
        decode_manifest(golden_json("manifest", encode_manifest(manifest(), header(7))), object())
            .value,
        manifest());
    EXPECT_EQ(decode_set(golden_json("set", encode_set(set(), header(8))), object()).value, set());
    EXPECT_EQ(decode_identity(golden_json("member", encode_identity(member(), header(1))), object())
                  .value,
              member());
    EXPECT_EQ(decode_run(golden_json("run", encode_run(run(), header(2))), object()).value, run());
    EXPECT_EQ(decode_drill(golden_json("drill", encode_drill(drill(), header(2))), object()).value,
              drill());
    auto held = decode_lease(golden_json("lease", encode_lease(lease())), "lease", base::Time{});
    EXPECT_EQ(held.owner, lease().owner);
    EXPECT_EQ(held.term, lease().term);
}

TEST(Codecs, GoldenHeadOpens)
{
    base::FakeClock clock{at("2026-11-22T13:00:00Z")};
    base::SeededRandom random{7};
    store::MemoryStorage made{clock};
    auto head = Repository::create(made, random).head();
    store::MemoryStorage old{clock};
    store::put(old, "tidemark.json",
               golden_json("tidemark", store::get(made, "tidemark.json", 1 << 16).value()));
    EXPECT_EQ(Repository::open(old).head(), head);
}

TEST(Codecs, AnotherKindIsRefused)
{
    auto bytes = encode_manifest(manifest(), header(7));
    EXPECT_THROW(decode_mark(bytes, object()), Error);
    EXPECT_THROW(decode_set(bytes, object()), Error);
}

TEST(Codecs, EveryFlippedBitOfAMarkIsSeen)
{
    auto bytes = encode_mark(mark(), header(7));
    for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 211) {
        auto bad = bytes;
        bad[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
        EXPECT_THROW(decode_mark(bad, object()), Error) << "bit " << bit;
    }
}

TEST(Codecs, SelectorsReadAsPeopleWriteThem)
{
    using Kind = MarkSelector::Kind;
    EXPECT_EQ(parse_mark_selector("latest").kind, Kind::latest);
    EXPECT_EQ(parse_mark_selector("m-12").number, 12U);
    EXPECT_EQ(parse_mark_selector("12").kind, Kind::number);
    EXPECT_EQ(parse_mark_selector("2026-11-22 14:00").kind, Kind::time);
    EXPECT_EQ(parse_mark_selector("2026-11-22T14:00:00Z").time, at("2026-11-22T14:00:00Z"));
    EXPECT_EQ(parse_mark_selector("before-migration").name, "before-migration");
    EXPECT_EQ(parse_mark_selector("m-0").kind, Kind::name);
    EXPECT_EQ(parse_mark_selector("99999999999").kind, Kind::name);
}

} // namespace
} // namespace tidemark::repo
