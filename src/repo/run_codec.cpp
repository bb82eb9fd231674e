#include "repo/codec_parts.h"
#include "repo/runs.h"

namespace tidemark::repo {

namespace {

constexpr DocumentKind kRunDocument{"run", 1};

} // namespace

void put_run(JsonBuilder& into, const model::Run& run)
{
    into.text("group", run.group)
        .text("command", run.command)
        .text("host", run.host)
        .time("started", run.started)
        .time("ended", run.ended)
        .signed_number("exit_code", run.exit_code);
    if (run.error) {
        JsonBuilder error;
        error.text("code", run.error->code)
            .text("message", run.error->message)
            .text("hint", run.error->hint);
        into.object("error", std::move(error));
    }
    put_flag(into, "broken_off", run.broken_off);
    into.texts("warnings", run.warnings);
    if (run.set) into.number("set", *run.set);
    if (run.mark) into.number("mark", *run.mark);
    if (run.retention) {
        JsonBuilder retention;
        retention.number("removed", run.retention->removed)
            .number("removed_bytes", run.retention->removed_bytes)
            .number("joined", run.retention->joined)
            .number("waiting", run.retention->waiting);
        into.object("retention", std::move(retention));
    }
}

base::Bytes encode_run(const model::Run& run, const CommitHeader& header)
{
    JsonBuilder out{kRunDocument};
    write_header(out, header);
    put_run(out, run);
    return out.bytes();
}

model::Run get_run(const JsonObject& from)
{
    model::Run value;
    value.group = from.text("group");
    value.command = from.text("command");
    value.host = from.text("host");
    value.started = from.time("started");
    value.ended = from.time("ended");
    std::int64_t exit_code = from.i64("exit_code");
    if (exit_code < 0 || exit_code > 255) from.refuse("exit_code", "is no exit code");
    value.exit_code = static_cast<int>(exit_code);
    if (auto error = from.maybe_object("error"))
        value.error = model::RunError{.code = error->text("code"),
                                      .message = error->text("message"),
                                      .hint = error->text("hint")};
    value.broken_off = get_flag(from, "broken_off");
    value.warnings = from.texts("warnings");
    value.set = from.maybe_u64("set");
    value.mark = from.maybe_u64("mark");
    if (auto retention = from.maybe_object("retention"))
        value.retention = model::RunRetention{.removed = retention->u64("removed"),
                                              .removed_bytes = retention->u64("removed_bytes"),
                                              .joined = retention->u64("joined"),
                                              .waiting = retention->u64("waiting")};
    return value;
}

StoredRun decode_run(base::ByteView bytes, const model::ObjectRef& object)
{
    auto document = JsonDocument::parse(bytes, object.key);
    JsonObject from = document.expect(kRunDocument);
    StoredRun out;
    out.header = read_header(from);
    out.object = object;
    out.value = get_run(from);
    return out;
}

} // namespace tidemark::repo
