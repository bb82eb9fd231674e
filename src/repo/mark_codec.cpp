#include "repo/branch_codec.h"
#include "repo/codec_parts.h"
#include "repo/marks.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kMarkDocument{"mark", 1};

using model::ViolationKind;
constexpr EnumName<ViolationKind> kViolations[] = {
    {ViolationKind::below_lower_bound, "below_lower_bound"},
    {ViolationKind::before_previous, "before_previous"},
    {ViolationKind::fixed_must_retreat, "fixed_must_retreat"},
    {ViolationKind::fixed_outside, "fixed_outside"},
    {ViolationKind::log_gap, "log_gap"},
    {ViolationKind::log_unread, "log_unread"},
    {ViolationKind::not_proven, "not_proven"},
    {ViolationKind::wanted_outside, "wanted_outside"}};

JsonBuilder retreat_to_json(const model::Retreat& retreat)
{
    JsonBuilder out;
    put_text(out, "global_id", retreat.global_id);
    out.number("xid", retreat.xid);
    put_position(out, "commit", retreat.commit);
    put_text(out, "because_of", retreat.because_of);
    put_position(out, "prepare", retreat.prepare);
    return out;
}

model::Retreat read_retreat(const JsonObject& from)
{
    return {.global_id = get_text(from, "global_id"),
            .xid = from.u32("xid"),
            .commit = get_position(from, "commit"),
            .because_of = get_text(from, "because_of"),
            .prepare = get_position(from, "prepare")};
}

JsonBuilder member_to_json(const model::MarkMember& member)
{
    JsonBuilder out;
    out.text("name", member.name)
        .text("engine", member.engine)
        .text("system_id", member.system_id)
        .text("version", member.version)
        .object("history", to_json(member.history))
        .offset("b", member.b)
        .offset("r", member.r)
        .offset("r_end", member.r_end)
        .offset("e", member.e)
        .position("cut", member.cut)
        .offset("log_end", member.log_end)
        .number("retreat_bytes", member.retreat_bytes);
    if (member.retreat) out.object("retreat", retreat_to_json(*member.retreat));
    if (member.clock) out.object("clock", to_json(*member.clock));
    put_text(out, "gid_pattern", member.gid_pattern);
    if (member.wanted) out.offset("wanted", *member.wanted);
    return out;
}

model::MarkMember read_member(const JsonObject& from)
{
    model::MarkMember out;
    out.name = from.text("name");
    out.engine = from.text("engine");
    out.system_id = from.text("system_id");
    out.version = from.text("version");
    out.history = history(from.object("history"));
    out.b = from.offset("b");
    out.r = from.offset("r");
    out.r_end = from.offset("r_end");
    out.e = from.offset("e");
    out.cut = from.position("cut");
    out.log_end = from.offset("log_end");
    out.retreat_bytes = from.u64("retreat_bytes");
    if (auto retreat = from.maybe_object("retreat")) out.retreat = read_retreat(*retreat);
    if (auto clock = from.maybe_object("clock")) out.clock = clock_reading(*clock);
    out.gid_pattern = get_text(from, "gid_pattern");
    out.wanted = from.maybe_offset("wanted");
    return out;
}

JsonBuilder violation_to_json(const model::Violation& violation)
{
    JsonBuilder out;
    out.text("kind", enum_name(kViolations, violation.kind))
        .text("member", violation.member)
        .offset("cut", violation.cut)
        .offset("bound", violation.bound);
    put_text(out, "global_id", violation.global_id);
    return out;
}

model::Violation read_violation(const JsonObject& from)
{
    return {.kind = get_enum(from, "kind", kViolations),
            .member = from.text("member"),
            .cut = from.offset("cut"),
            .bound = from.offset("bound"),
            .global_id = get_text(from, "global_id")};
}

JsonBuilder flags_to_json(const model::CutFlags& flags)
{
    JsonBuilder out;
    out.flag("two_phase_only", flags.two_phase_only)
        .flag("heuristic_damage", flags.heuristic_damage)
        .flag("differs_from_production", flags.differs_from_production)
        .flag("unknown_verdicts", flags.unknown_verdicts)
        .flag("lost_prepares", flags.lost_prepares)
        .flag("unknown_finishes", flags.unknown_finishes)
        .flag("relies_on_clocks", flags.relies_on_clocks);
    return out;
}

model::CutFlags read_flags(const JsonObject& from)
{
    return {.two_phase_only = from.flag("two_phase_only"),
            .heuristic_damage = from.flag("heuristic_damage"),
            .differs_from_production = from.flag("differs_from_production"),
            .unknown_verdicts = from.flag("unknown_verdicts"),
            .lost_prepares = from.flag("lost_prepares"),
            .unknown_finishes = from.flag("unknown_finishes"),
            .relies_on_clocks = from.flag("relies_on_clocks")};
}

JsonBuilder table_to_json(const model::DecisionTable& table)
{
    JsonBuilder out;
    out.text("member", table.member).text("table", table.table);
    return out;
}

model::DecisionTable read_table(const JsonObject& from)
{
    return {.member = from.text("member"), .table = from.text("table")};
}

JsonBuilder commit_to_json(const model::LateCommit& commit)
{
    JsonBuilder out;
    out.text("member", commit.member).text("gid", commit.gid);
    out.text("global_id", commit.global_id).position("commit", commit.commit);
    put_flag(out, "carried", commit.carried);
    if (!commit.failed_over.empty()) out.texts("failed_over", commit.failed_over);
    if (commit.found) out.time("found", *commit.found);
    put_flag(out, "inherited", commit.inherited);
    return out;
}

model::LateCommit read_commit(const JsonObject& from)
{
    return {.member = from.text("member"),
            .gid = from.text("gid"),
            .global_id = from.text("global_id"),
            .commit = from.position("commit"),
            .carried = get_flag(from, "carried"),
            .failed_over =
                from.has("failed_over") ? from.texts("failed_over") : std::vector<std::string>{},
            .found = from.maybe_time("found"),
            .inherited = get_flag(from, "inherited")};
}

} // namespace

base::Bytes encode_mark(const model::Mark& mark, const CommitHeader& header)
{
    JsonBuilder out{kMarkDocument};
    write_header(out, header);
    out.text("id", mark_id(header.number)).text("group", mark.group);
    put_text(out, "name", mark.name);
    out.text("restore_point", mark.restore_point)
        .time("created", mark.created)
        .signed_number("spread_us", mark.spread.count());
    put_list(out, "members", mark.members, member_to_json);
    out.number("iterations", mark.iterations);
    if (mark.previous) out.text("previous", *mark.previous);
    put_list(out, "anchor", mark.anchor, sweep_to_json);
    out.object("flags", flags_to_json(mark.flags));
    put_list(out, "violations", mark.violations, violation_to_json);
    if (!mark.decision_tables.empty())
        put_list(out, "decision_tables", mark.decision_tables, table_to_json);
    if (!mark.decided.empty()) put_list(out, "decided", mark.decided, commit_to_json);
    put_number(out, "decided_left_out", mark.decided_left_out);
    out.object("at", to_json(mark.at)).object("table", to_json(mark.table));
    return out.bytes();
}

StoredMark decode_mark(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kMarkDocument);
    StoredMark out;
    out.header = read_header(from);
    out.object = object;
    model::Mark& value = out.value;
    value.id = from.text("id");
    if (value.id != mark_id(out.header.number)) from.refuse("id", "is not that of its number");
    value.number = out.header.number;
    value.name = get_text(from, "name");
    value.group = from.text("group");
    value.restore_point = from.text("restore_point");
    value.created = from.time("created");
    value.spread = base::Duration{from.i64("spread_us")};
    value.members = get_list(from, "members", read_member);
    value.iterations = from.u32("iterations");
    value.previous = from.maybe_text("previous");
    value.anchor = get_list(from, "anchor", sweep);
    value.flags = read_flags(from.object("flags"));
    value.violations = get_list(from, "violations", read_violation);
    value.decision_tables = get_list(from, "decision_tables", read_table);
    value.decided = get_list(from, "decided", read_commit);
    value.decided_left_out = from.maybe_u64("decided_left_out").value_or(0);
    value.at = evaluation(from.object("at"));
    value.table = open_transactions(from.object("table"));
    for (const auto& member : value.members) {
        auto known = value.table.members.find(member.name);
        if (known != value.table.members.end()) known->second.gid_pattern = member.gid_pattern;
    }
    return out;
}

} // namespace tidemark::repo
