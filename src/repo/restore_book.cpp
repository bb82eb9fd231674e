#include "repo/restore_book.h"

#include "base/error.h"
#include "repo/codec_parts.h"
#include "repo/layout.h"
#include "repo/sequence_items.h"
#include "repo/tombstones.h"

#include <fmt/format.h>

namespace tidemark::repo {

using base::Code;
using base::Error;

namespace {

constexpr DocumentKind kRestoresDocument{"restores", 1};
constexpr EnumName<model::JointStage> kStages[] = {{model::JointStage::working, "working"},
                                                   {model::JointStage::failed, "failed"},
                                                   {model::JointStage::at_mark, "at_mark"},
                                                   {model::JointStage::opened, "opened"}};

JsonBuilder to_json(const std::string& member, const model::JointReport& report)
{
    JsonBuilder out;
    out.text("member", member).text("stage", enum_name(kStages, report.stage));
    out.text("host", report.host).text("folder", report.folder).text("ticket", report.ticket);
    out.text("program", report.program).time("at", report.at);
    put_text(out, "text", report.text);
    put_number(out, "backup", report.backup);
    put_number(out, "bytes", report.bytes);
    put_number(out, "log_bytes", report.log_bytes);
    put_position(out, "target", report.target);
    put_position(out, "reached", report.reached);
    put_flag(out, "damaged", report.damaged);
    put_number(out, "kept", report.kept);
    return out;
}

std::pair<std::string, model::JointReport> read_report(const JsonObject& from)
{
    model::JointReport out;
    out.stage = get_enum(from, "stage", kStages);
    out.host = from.text("host");
    out.folder = from.text("folder");
    out.ticket = from.text("ticket");
    out.program = from.text("program");
    out.at = from.time("at");
    out.text = get_text(from, "text");
    out.backup = get_number(from, "backup");
    out.bytes = get_number(from, "bytes");
    out.log_bytes = get_number(from, "log_bytes");
    out.target = get_position(from, "target");
    out.reached = get_position(from, "reached");
    out.damaged = get_flag(from, "damaged");
    out.kept = get_number(from, "kept");
    return {from.text("member"), std::move(out)};
}

JsonBuilder to_json(const model::JointDecision& decision)
{
    JsonBuilder out;
    out.text("member", decision.member).text("gid", decision.gid);
    out.text("global_id", decision.global_id).flag("commit", decision.commit);
    out.text("by", decision.by);
    return out;
}

model::JointDecision read_decision(const JsonObject& from)
{
    return {.member = from.text("member"),
            .gid = from.text("gid"),
            .global_id = from.text("global_id"),
            .commit = from.flag("commit"),
            .by = from.text("by")};
}

JsonBuilder to_json(const model::JointRestore& restore)
{
    JsonBuilder out;
    out.number("number", restore.number).number("mark", restore.mark);
    out.time("begun", restore.begun).text("host", restore.host);
    out.texts("members", restore.members);
    std::vector<JsonBuilder> reports;
    for (const auto& [member, report] : restore.reports)
        reports.push_back(to_json(member, report));
    out.array("reports", std::move(reports));
    put_list(out, "decisions", restore.decisions,
             [](const model::JointDecision& decision) { return to_json(decision); });
    std::vector<JsonBuilder> rows;
    for (const auto& [member, ids] : restore.rows) {
        JsonBuilder line;
        line.text("member", member).texts("ids", {ids.begin(), ids.end()});
        rows.push_back(std::move(line));
    }
    if (!rows.empty()) out.array("rows", std::move(rows));
    if (restore.ended) out.time("ended", *restore.ended);
    put_flag(out, "given_up", restore.given_up);
    return out;
}

model::JointRestore read_restore(const JsonObject& from)
{
    model::JointRestore out;
    out.number = from.u64("number");
    out.mark = from.u64("mark");
    out.begun = from.time("begun");
    out.host = from.text("host");
    out.members = from.texts("members");
    for (auto& report : get_list(from, "reports", read_report))
        out.reports.insert(std::move(report));
    out.decisions = get_list(from, "decisions", read_decision);
    if (from.has("rows")) {
        from.each("rows", [&](const JsonObject& line) {
            auto ids = line.texts("ids");
            out.rows[line.text("member")] = {ids.begin(), ids.end()};
        });
    }
    if (from.has("ended")) out.ended = from.time("ended");
    out.given_up = get_flag(from, "given_up");
    return out;
}

} // namespace

base::Bytes encode_restores(const model::JointRestores& book, const CommitHeader& header)
{
    JsonBuilder out{kRestoresDocument};
    write_header(out, header);
    out.text("group", book.group).number("last", book.last);
    put_list(out, "restores", book.restores,
             [](const model::JointRestore& restore) { return to_json(restore); });
    return out.bytes();
}

StoredRestores decode_restores(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kRestoresDocument);
    StoredRestores out;
    out.header = read_header(from);
    out.object = object;
    out.value.group = from.text("group");
    out.value.last = from.u64("last");
    out.value.restores = get_list(from, "restores", read_restore);
    return out;
}

RestoreBook::RestoreBook(store::Storage& storage, const std::string& group)
    : storage_(storage), group_(group), sequence_(storage, restores_prefix(group))
{
}

model::JointRestores RestoreBook::load(Unreadable* unreadable) const
{
    auto newest = latest_item(sequence_, decode_restores, unreadable);
    return newest ? std::move(newest->value) : model::JointRestores{.group = group_};
}

std::vector<model::JointRestore> RestoreBook::open(Unreadable* unreadable) const
{
    auto book = load(unreadable);
    std::erase_if(book.restores, [](const model::JointRestore& one) { return !one.is_open(); });
    return std::move(book.restores);
}

void RestoreBook::change(const Change& change) const
{
    sequence_.append(nullptr, [&](const CommitHeader& header) {
        // The generation that this one follows, or the one before it that can be read: a damaged
        // one costs reports, which the hosts can make again.
        model::JointRestores next{.group = group_};
        if (auto before = latest_before(sequence_, header.number, decode_restores))
            next = std::move(before->value);
        change(next);
        model::trim(next);
        return encode_restores(next, header);
    });
}

model::JointRestore RestoreBook::enlist(const model::Enlistment& enlistment) const
{
    model::JointRestore out;
    change([&](model::JointRestores& book) {
        auto number = model::enlist(book, enlistment);
        out = *book.find(number);
    });
    // Written first, looked second: whoever removes looks at the book after its tombstone.
    if (!condemned_keys(storage_, group_).contains(mark_key(group_, out.mark))) return out;
    forget(out.number, enlistment.reports.begin()->second.at);
    throw Error{Code::not_restorable,
                fmt::format("mark m-{} cannot be restored on several hosts: retention is removing "
                            "it already",
                            out.mark),
                {.hint = "`tidemark list marks` shows those that stay"}};
}

bool RestoreBook::forget(model::Number number, base::Time now) const
{
    Unreadable damaged;
    auto there = load(&damaged);
    auto* restore = there.find(number);
    bool known = restore != nullptr && restore->is_open();
    if (!known && damaged.empty()) return false;
    change([&](model::JointRestores& book) {
        auto* one = book.find(number);
        if (one == nullptr || !one->is_open()) return;
        one->ended = now;
        one->given_up = true;
    });
    return true;
}

} // namespace tidemark::repo
