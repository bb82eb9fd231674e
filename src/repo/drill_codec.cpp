#include "repo/codec_parts.h"
#include "repo/drills.h"

namespace tidemark::repo {

namespace {

using model::CheckResult;
using model::DrillKind;

constexpr DocumentKind kDrillDocument{"drill", 1};

constexpr EnumName<DrillKind> kKinds[] = {{DrillKind::drill, "drill"},
                                          {DrillKind::restore, "restore"}};
constexpr EnumName<CheckResult> kResults[] = {{CheckResult::passed, "passed"},
                                              {CheckResult::failed, "failed"},
                                              {CheckResult::skipped, "skipped"}};

void put_duration(JsonBuilder& into, std::string_view name, base::Duration value)
{
    into.number(name, value.count() < 0 ? 0 : static_cast<std::uint64_t>(value.count()));
}

base::Duration get_duration(const JsonObject& from, std::string_view name)
{
    auto count = from.u64(name);
    if (count > 1ULL << 60) from.refuse(name, "is no duration");
    return base::Duration{static_cast<std::int64_t>(count)};
}

JsonBuilder member_to_json(const model::DrillMember& member)
{
    JsonBuilder out;
    out.text("name", member.name)
        .number("backup", member.backup)
        .number("bytes", member.bytes)
        .number("log_bytes", member.log_bytes);
    put_position(out, "target", member.target);
    put_position(out, "reached", member.reached);
    put_text(out, "evidence", member.evidence);
    return out;
}

model::DrillMember read_member(const JsonObject& from)
{
    return {.name = from.text("name"),
            .backup = from.u64("backup"),
            .bytes = from.u64("bytes"),
            .log_bytes = from.u64("log_bytes"),
            .target = get_position(from, "target"),
            .reached = get_position(from, "reached"),
            .evidence = get_text(from, "evidence")};
}

JsonBuilder stage_to_json(const model::DrillStage& stage)
{
    JsonBuilder out;
    put_text(out, "member", stage.member);
    out.text("name", stage.name);
    put_duration(out, "start_us", stage.start);
    put_duration(out, "took_us", stage.took);
    return out;
}

model::DrillStage read_stage(const JsonObject& from)
{
    return {.member = get_text(from, "member"),
            .name = from.text("name"),
            .start = get_duration(from, "start_us"),
            .took = get_duration(from, "took_us")};
}

JsonBuilder check_to_json(const model::DrillCheck& check)
{
    JsonBuilder out;
    out.text("name", check.name);
    put_text(out, "subject", check.subject);
    put_text(out, "member", check.member);
    out.text("result", enum_name(kResults, check.result)).text("text", check.text);
    if (!check.details.empty()) out.texts("details", check.details);
    if (check.value) out.text("value", *check.value);
    put_duration(out, "took_us", check.took);
    return out;
}

model::DrillCheck read_check(const JsonObject& from)
{
    model::DrillCheck check;
    check.name = from.text("name");
    check.subject = get_text(from, "subject");
    check.member = get_text(from, "member");
    check.result = get_enum(from, "result", kResults);
    check.text = from.text("text");
    if (from.has("details")) check.details = from.texts("details");
    check.value = from.maybe_text("value");
    check.took = get_duration(from, "took_us");
    return check;
}

JsonBuilder decision_to_json(const model::DrillDecision& decision)
{
    JsonBuilder out;
    out.text("member", decision.member).text("gid", decision.gid);
    put_text(out, "global_id", decision.global_id);
    put_text(out, "database", decision.database);
    out.text("action", decision.action);
    put_text(out, "evidence", decision.evidence);
    put_flag(out, "differs_from_production", decision.differs_from_production);
    return out;
}

model::DrillDecision read_decision(const JsonObject& from)
{
    return {.member = from.text("member"),
            .gid = from.text("gid"),
            .global_id = get_text(from, "global_id"),
            .database = get_text(from, "database"),
            .action = from.text("action"),
            .evidence = get_text(from, "evidence"),
            .differs_from_production = get_flag(from, "differs_from_production")};
}

} // namespace

base::Bytes encode_drill(const model::Drill& drill, const CommitHeader& header)
{
    JsonBuilder out{kDrillDocument};
    write_header(out, header);
    out.text("drill_kind", enum_name(kKinds, drill.kind))
        .text("group", drill.group)
        .text("host", drill.host)
        .number("mark", drill.mark);
    put_text(out, "mark_name", drill.mark_name);
    out.time("mark_time", drill.mark_time)
        .time("started", drill.started)
        .time("ended", drill.ended)
        // For readers without this program: what follows from the rest.
        .flag("passed", drill.passed())
        .flag("proves", drill.proves());
    if (drill.restore_took) put_duration(out, "restore_took_us", *drill.restore_took);
    put_list(out, "members", drill.members, member_to_json);
    put_list(out, "stages", drill.stages, stage_to_json);
    put_list(out, "checks", drill.checks, check_to_json);
    put_list(out, "decisions", drill.decisions, decision_to_json);
    out.texts("warnings", drill.warnings);
    if (!drill.half_there.empty()) out.texts("half_there", drill.half_there);
    put_text(out, "failure", drill.failure);
    out.flag("whole_group", drill.whole_group);
    return out.bytes();
}

StoredDrill decode_drill(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kDrillDocument);
    StoredDrill out;
    out.header = read_header(from);
    out.object = object;
    model::Drill& value = out.value;
    value.kind = get_enum(from, "drill_kind", kKinds);
    value.group = from.text("group");
    value.host = from.text("host");
    value.mark = from.u64("mark");
    value.mark_name = get_text(from, "mark_name");
    value.mark_time = from.time("mark_time");
    value.started = from.time("started");
    value.ended = from.time("ended");
    if (from.has("restore_took_us")) value.restore_took = get_duration(from, "restore_took_us");
    value.members = get_list(from, "members", read_member);
    value.stages = get_list(from, "stages", read_stage);
    value.checks = get_list(from, "checks", read_check);
    value.decisions = get_list(from, "decisions", read_decision);
    value.warnings = from.texts("warnings");
    if (from.has("half_there")) value.half_there = from.texts("half_there");
    value.failure = get_text(from, "failure");
    value.whole_group = from.flag("whole_group");
    return out;
}

} // namespace tidemark::repo
