#include "repo/branch_codec.h"

#include "repo/codec_parts.h"

namespace tidemark::repo {

namespace {

using model::Decision;
using model::Finish;
using model::Reason;
using model::StateAt;

constexpr EnumName<Finish> kFinishes[] = {{Finish::open, "open"},
                                          {Finish::committed, "committed"},
                                          {Finish::rolled_back, "rolled_back"},
                                          {Finish::unseen, "unseen"},
                                          {Finish::lost, "lost"}};
constexpr EnumName<Decision> kDecisions[] = {
    {Decision::unknown, "unknown"}, {Decision::commit, "commit"}, {Decision::rollback, "rollback"}};
constexpr EnumName<Reason> kReasons[] = {{Reason::committed, "committed"},
                                         {Reason::not_committed, "not_committed"},
                                         {Reason::seeded, "seeded"},
                                         {Reason::log_incomplete, "log_incomplete"},
                                         {Reason::ambiguous_id, "ambiguous_id"},
                                         {Reason::commit_of_unknown, "commit_of_unknown"},
                                         {Reason::unmatched_gid, "unmatched_gid"},
                                         {Reason::one_phase, "one_phase"},
                                         {Reason::commit_abandoned, "commit_abandoned"}};
constexpr EnumName<StateAt> kStates[] = {{StateAt::absent, "absent"},
                                         {StateAt::in_doubt, "in_doubt"},
                                         {StateAt::committed, "committed"},
                                         {StateAt::rolled_back, "rolled_back"},
                                         {StateAt::finished_unseen, "finished_unseen"},
                                         {StateAt::lost, "lost"}};

JsonBuilder verdict_to_json(const model::Verdict& verdict)
{
    JsonBuilder out;
    out.text("decision", enum_name(kDecisions, verdict.decision))
        .text("reason", enum_name(kReasons, verdict.reason));
    put_text(out, "committed_by", verdict.committed_by);
    put_position(out, "committed_at", verdict.committed_at);
    put_text(out, "evidence", verdict.evidence);
    return out;
}

model::Verdict verdict(const JsonObject& from)
{
    return {.decision = get_enum(from, "decision", kDecisions),
            .reason = get_enum(from, "reason", kReasons),
            .committed_by = get_text(from, "committed_by"),
            .committed_at = get_position(from, "committed_at"),
            .evidence = get_text(from, "evidence")};
}

JsonBuilder doubt_to_json(const model::InDoubt& doubt)
{
    JsonBuilder out;
    out.object("branch", to_json(doubt.branch)).object("verdict", verdict_to_json(doubt.verdict));
    put_flag(out, "differs_from_production", doubt.differs_from_production);
    return out;
}

model::InDoubt in_doubt(const JsonObject& from)
{
    return {.branch = branch(from.object("branch")),
            .verdict = verdict(from.object("verdict")),
            .differs_from_production = get_flag(from, "differs_from_production")};
}

JsonBuilder transaction_to_json(const model::TransactionAt& transaction)
{
    JsonBuilder out;
    out.text("global_id", transaction.global_id);
    put_flag(out, "ambiguous", transaction.ambiguous);
    put_list(out, "parts", transaction.parts, [](const model::TransactionAt::Part& part) {
        JsonBuilder line;
        line.text("state", enum_name(kStates, part.state)).object("branch", to_json(part.branch));
        return line;
    });
    return out;
}

model::TransactionAt transaction(const JsonObject& from)
{
    return {.global_id = from.text("global_id"),
            .ambiguous = get_flag(from, "ambiguous"),
            .parts = get_list(from, "parts", [](const JsonObject& line) {
                return model::TransactionAt::Part{.branch = branch(line.object("branch")),
                                                  .state = get_enum(line, "state", kStates)};
            })};
}

JsonBuilder finish_to_json(const model::UnknownFinish& finish)
{
    return to_json(finish);
}
JsonBuilder branch_to_json(const model::Branch& branch)
{
    return to_json(branch);
}

} // namespace

JsonBuilder to_json(const model::Branch& branch)
{
    JsonBuilder out;
    out.text("member", branch.member)
        .number("epoch", branch.epoch)
        .number("xid", branch.xid)
        .text("gid", branch.gid);
    if (branch.global_id != branch.gid) out.text("global_id", branch.global_id);
    if (!branch.matched) out.flag("matched", false);
    put_number(out, "database", branch.database);
    put_text(out, "database_name", branch.database_name);
    put_number(out, "owner", branch.owner);
    put_text(out, "owner_name", branch.owner_name);
    put_flag(out, "seeded", branch.seeded);
    put_offset(out, "prepare_start", branch.prepare_start);
    put_offset(out, "prepare_end", branch.prepare_end);
    put_time(out, "prepared_at", branch.prepared_at);
    out.text("finish", enum_name(kFinishes, branch.finish));
    put_number(out, "finish_epoch", branch.finish_epoch);
    put_offset(out, "finish_start", branch.finish_start);
    put_offset(out, "finish_end", branch.finish_end);
    put_time(out, "finished_at", branch.finished_at);
    put_flag(out, "commit_unseen", branch.commit_unseen);
    put_flag(out, "id_mixed", branch.id_mixed);
    put_position(out, "abandoned_commit", branch.abandoned_commit);
    return out;
}

model::Branch branch(const JsonObject& from)
{
    model::Branch out;
    out.member = from.text("member");
    out.epoch = from.u32("epoch");
    out.xid = from.u32("xid");
    out.gid = from.text("gid");
    out.global_id = from.maybe_text("global_id").value_or(out.gid);
    out.matched = !from.has("matched") || from.flag("matched");
    out.database = get_u32(from, "database");
    out.database_name = get_text(from, "database_name");
    out.owner = get_u32(from, "owner");
    out.owner_name = get_text(from, "owner_name");
    out.seeded = get_flag(from, "seeded");
    out.prepare_start = get_offset(from, "prepare_start");
    out.prepare_end = get_offset(from, "prepare_end");
    out.prepared_at = get_time(from, "prepared_at");
    out.finish = get_enum(from, "finish", kFinishes);
    out.finish_epoch = get_u32(from, "finish_epoch");
    out.finish_start = get_offset(from, "finish_start");
    out.finish_end = get_offset(from, "finish_end");
    out.finished_at = get_time(from, "finished_at");
    out.commit_unseen = get_flag(from, "commit_unseen");
    out.id_mixed = get_flag(from, "id_mixed");
    out.abandoned_commit = get_position(from, "abandoned_commit");
    return out;
}

JsonBuilder to_json(const model::UnknownFinish& finish)
{
    JsonBuilder out;
    out.text("member", finish.member)
        .number("epoch", finish.epoch)
        .number("xid", finish.xid)
        .flag("committed", finish.committed)
        .offset("start", finish.start)
        .offset("end", finish.end);
    put_time(out, "at", finish.at);
    return out;
}

model::UnknownFinish unknown_finish(const JsonObject& from)
{
    return {.member = from.text("member"),
            .epoch = from.u32("epoch"),
            .xid = from.u32("xid"),
            .committed = from.flag("committed"),
            .start = from.offset("start"),
            .end = from.offset("end"),
            .at = get_time(from, "at")};
}

JsonBuilder to_json(const model::ClockReading& clock)
{
    JsonBuilder out;
    out.signed_number("offset_us", clock.offset.count())
        .signed_number("error_us", clock.error.count());
    return out;
}

model::ClockReading clock_reading(const JsonObject& from)
{
    return {.offset = base::Duration{from.i64("offset_us")},
            .error = base::Duration{from.i64("error_us")}};
}

JsonBuilder to_json(const model::Evaluation& evaluation)
{
    JsonBuilder out;
    put_list(out, "in_doubt", evaluation.in_doubt, doubt_to_json);
    put_list(out, "spanning", evaluation.spanning, transaction_to_json);
    put_list(out, "torn", evaluation.torn, transaction_to_json);
    put_list(out, "damaged", evaluation.damaged, transaction_to_json);
    put_list(out, "lost", evaluation.lost, transaction_to_json);
    out.texts("ambiguous_ids", evaluation.ambiguous_ids);
    put_list(out, "unknown_finishes", evaluation.unknown_finishes, finish_to_json);
    return out;
}

model::Evaluation evaluation(const JsonObject& from)
{
    return {.in_doubt = get_list(from, "in_doubt", in_doubt),
            .spanning = get_list(from, "spanning", transaction),
            .torn = get_list(from, "torn", transaction),
            .damaged = get_list(from, "damaged", transaction),
            .lost = get_list(from, "lost", transaction),
            .ambiguous_ids = from.texts("ambiguous_ids"),
            .unknown_finishes = get_list(from, "unknown_finishes", unknown_finish)};
}

JsonBuilder to_json(const model::OpenTransactions& table)
{
    JsonBuilder members;
    for (const auto& [name, member] : table.members) {
        JsonBuilder line;
        line.number("epoch", member.epoch)
            .offset("b", member.b)
            .offset("r", member.r)
            .offset("e", member.e);
        if (member.complete_from) line.offset("complete_from", *member.complete_from);
        if (member.clock) line.object("clock", to_json(*member.clock));
        members.object(name, std::move(line));
    }
    JsonBuilder out;
    out.object("members", std::move(members));
    put_list(out, "branches", table.branches, branch_to_json);
    put_list(out, "unknown_finishes", table.unknown_finishes, finish_to_json);
    return out;
}

model::OpenTransactions open_transactions(const JsonObject& from)
{
    model::OpenTransactions out;
    from.each_named("members", [&](const std::string& name, const JsonObject& line) {
        model::OpenTransactions::Member member{.epoch = line.u32("epoch"),
                                               .b = line.offset("b"),
                                               .r = line.offset("r"),
                                               .e = line.offset("e"),
                                               .complete_from = line.maybe_offset("complete_from"),
                                               .clock = {}};
        if (auto clock = line.maybe_object("clock")) member.clock = clock_reading(*clock);
        out.members.emplace(name, member);
    });
    out.branches = get_list(from, "branches", branch);
    out.unknown_finishes = get_list(from, "unknown_finishes", unknown_finish);
    return out;
}

} // namespace tidemark::repo
