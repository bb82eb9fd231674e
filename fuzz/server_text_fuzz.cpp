#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/postgres/access_rules.h"
#include "engine/postgres/backup_rules.h"
#include "engine/postgres/conf_file.h"
#include "engine/postgres/config_capture.h"
#include "engine/postgres/pq_errors.h"
#include "engine/postgres/recovery_log.h"
#include "engine/postgres/redact.h"
#include "engine/postgres/restore_work.h"
#include "model/log_position.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

/// Texts of a server and its host. The first byte chooses what the rest is.

namespace {

using namespace tidemark;
using namespace tidemark::engine::postgres;

void fuzz_history(std::string_view text)
{
    try {
        model::History history = model::parse_history(0xFFFFFFFF, text);
        model::Offset before = 0;
        for (const auto& step : history.ancestors()) {
            CHECK(step.left_at >= before);
            CHECK(history.contains({step.epoch, step.left_at}));
            CHECK(history.epoch_at(step.left_at) > step.epoch);
            before = step.left_at;
        }
    } catch (const base::Error&) {
    }
}

/// A host whose files are the input's parts: the configuration first, then /etc/pg/0.conf and on.
struct Host {
    explicit Host(std::string_view text)
    {
        while (!text.empty()) {
            auto part = text.substr(0, text.find('\f'));
            parts.push_back(part);
            text.remove_prefix(std::min(text.size(), part.size() + 1));
        }
    }
    ConfigReader reader() const
    {
        return {.read = [this](const std::string& path) -> ConfigText {
                    if (path == "/etc/pg/main")
                        return {.text = parts.empty() ? "" : std::string(parts[0])};
                    constexpr std::string_view kFolder = "/etc/pg/";
                    if (!path.starts_with(kFolder) || path.size() <= kFolder.size()) return {};
                    std::size_t index = 1 + static_cast<unsigned char>(path[kFolder.size()]) % 16U;
                    if (index >= parts.size()) return {};
                    return {.text = std::string(parts[index])};
                },
                .list = [](const std::string&) -> std::optional<std::vector<std::string>> {
                    return std::vector<std::string>{"0.conf", "1.conf", ".2.conf", "3"};
                }};
    }
    std::vector<std::string_view> parts;
};

/// What the rules name is absent, elsewhere or as it was, by the length of its name.
IncludePaths places_of_rules(std::string_view text)
{
    const std::string moved = "/new \"place\"";
    IncludePaths out{{moved, moved}};
    for (const auto& rule : split_rules(text)) {
        for (const auto& found : rule_includes(rule)) {
            const auto& path = found.include.path;
            if (path.size() % 3 == 0)
                out.try_emplace(path, std::nullopt);
            else
                out.try_emplace(path, path.size() % 3 == 1 ? moved : path);
        }
    }
    return out;
}

void fuzz_rules(std::string_view text)
{
    if (text.size() > 4096) return; // a rule of a thousand files is read a thousand times
    const auto places = places_of_rules(text);
    for (auto of : {RulesOf::access, RulesOf::names}) {
        auto once = edit_rules(text, places, of);
        auto again = edit_rules(once.text, places, of);
        CHECK(again.changed.empty() && again.text == once.text);
    }
    // Where a file is absent, nobody comes in by what stands in the place of its rule.
    for (const auto& rule : split_rules(text)) {
        const bool closed = std::ranges::any_of(rule_includes(rule), [&](const auto& found) {
            return found.word != "include_if_exists " && !places.at(found.include.path);
        });
        if (!closed) continue;
        for (const auto& line : split_rules(edit_rules(rule, places, RulesOf::access).text))
            CHECK(line.starts_with('#') || line.find("reject") != line.npos);
    }
}

void fuzz_conf(std::string_view text)
{
    fuzz_rules(text);

    Host host(text);
    auto files = capture_configuration({.data_directory = "/data",
                                        .config_file = "/etc/pg/main",
                                        .hba_file = "/etc/pg/hba",
                                        .ident_file = "",
                                        .tls_files = {std::string(text.substr(0, 40))}},
                                       host.reader());
    CHECK(files.size() <= 1002);
    ConfEdit edit{.settings = {{"port", "1"}, {"a", std::nullopt}}, .includes = {{"b", "c"}}};
    auto once = edit_conf(text, edit);
    CHECK(edit_conf(once.text, edit).changed.empty());

    // Whatever a value is, a file that we write says it and nothing else.
    if (text.find('\0') != std::string_view::npos) return;
    auto lines = split_lines(conf_line("x", text));
    CHECK(lines.size() == 1);
    auto line = parse_conf_line(lines.front());
    CHECK(line && line->value == text);
}

void fuzz_recovery_log(std::string_view text)
{
    RecoveryLog whole{1U << 20};
    whole.feed(text);
    RecoveryLog parts{1U << 20};
    for (std::size_t at = 0; at < text.size(); at += 7)
        parts.feed(text.substr(at, 7));
    CHECK(whole.replayed() == parts.replayed() && whole.stop_line() == parts.stop_line());
    CHECK(whole.stopped_at() == parts.stopped_at() && whole.problems() == parts.problems());
    CHECK(whole.reader_complaint() == parts.reader_complaint());
    engine::RecoveryGoal goal;
    goal.epoch = 1;
    goal.position = 1;
    recovery_error(whole, goal, {}, "log");
}

void fuzz_messages(std::string_view text)
{
    parse_verbose(text);
    connect_error({.text = std::string(text)});
    statement_error({.sqlstate = std::string(text.substr(0, 5)), .primary = std::string(text)});
}

void fuzz_urls(std::string_view text)
{
    redact_url(text);
    url_defect(text);
    // A password shows nowhere, whatever it is made of.
    std::string secret = "\x01" + std::string(text) + "\x02";
    std::string quoted;
    for (char c : secret) {
        if (c == '\'' || c == '\\') quoted += '\\';
        quoted += c;
    }
    CHECK(redact_url("postgresql://u:" + secret + "@h/d").find('\x01') == std::string::npos);
    CHECK(redact_url("postgresql://u:" + secret + "@h/d").find('\x02') == std::string::npos);
    CHECK(redact_url("user=u password='" + quoted + "' host=h") == "user=u password=*** host=h");
    CHECK(scrub("a " + secret + " b", secret).find(secret) == std::string::npos ||
          secret.size() < 4);
}

void fuzz_names(std::string_view text)
{
    if (auto file = parse_relation_file(text)) {
        CHECK(!file->number.empty() && text.starts_with(file->number));
        CHECK(!is_temporary_relation(text));
    }
    is_excluded_file(text);
    is_emptied_directory(text);
    holds_relations(text);
    has_page_checksums(text);
    is_left_out(text, {"1", "16384"});
    parse_twophase_name(text);
    if (auto offset = model::parse_offset(text))
        CHECK(model::parse_offset(model::format_offset(*offset)) == offset);
    if (auto position = model::parse_position(text))
        CHECK(model::parse_position(model::format_position(*position)) == position);
    if (auto time = base::parse_time(text))
        CHECK(base::parse_time(base::format_time(*time)) == time);
    base::parse_duration(text);
}

void fuzz_memory(std::string_view text)
{
    auto first = parse_memory(text);
    auto again = parse_memory(format_memory(first));
    CHECK(again.restore_command == first.restore_command && again.limits == first.limits);
    CHECK(again.superuser == first.superuser && again.goal.name == first.goal.name);
    CHECK(again.goal.position == first.goal.position && again.goal.time == first.goal.time);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1 || size > 65536) return 0;
    constexpr std::array kTargets{fuzz_history, fuzz_conf,  fuzz_recovery_log, fuzz_messages,
                                  fuzz_urls,    fuzz_names, fuzz_memory};
    std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    kTargets[data[0] % kTargets.size()](text);
    return 0;
}
