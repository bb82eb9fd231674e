#include "app/cli/describe.h"
#include "app/cli/drill_report.h"
#include "base/log.h"
#include "repo/marks.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace tidemark::app {

namespace {

constexpr std::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{0}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; margin: 0; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
.verdict {{ font-weight: 600; padding: .5rem .8rem; border-left: .4rem solid; }}
.passed {{ color: #0b6b3a; }} .failed {{ color: #a5161d; }} .skipped {{ color: #7a5b00; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #dde3e9;
  vertical-align: top; overflow-wrap: anywhere; }}
th {{ font-weight: 600; color: #51606e; }} ul {{ margin: .2rem 0; padding-left: 1.2rem; }}
svg {{ width: 100%; height: auto; }} svg text {{ font: 12px system-ui, sans-serif; fill: #1c2733; }}
</style></head><body>
<h1>{0}</h1>
)";

/// Colours of the stages, apart also for eyes that do not tell red from green; every bar carries
/// its name besides.
constexpr std::array<std::string_view, 7> kColours = {"#4477aa", "#66ccee", "#228833", "#ccbb44",
                                                      "#ee6677", "#aa3377", "#bbbbbb"};

std::string escaped(std::string_view text)
{
    std::string out;
    for (char c : base::escape_controls(text)) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        default:
            out += c;
        }
    }
    return out;
}

std::string row(const std::vector<std::string>& cells, std::string_view tag = "td")
{
    std::string out = "<tr>";
    for (const auto& cell : cells)
        out += fmt::format("<{0}>{1}</{0}>", tag, cell);
    return out + "</tr>\n";
}

std::string group_or(const std::string& member)
{
    return member.empty() ? "group" : escaped(member);
}

std::string check_rows(const model::Drill& drill)
{
    std::string out;
    for (const auto& check : drill.checks) {
        std::string what = escaped(check.text);
        if (!check.details.empty()) {
            what += "<ul>";
            for (const auto& line : check.details)
                what += "<li>" + escaped(line) + "</li>";
            what += "</ul>";
        }
        auto result = model::check_result_name(check.result);
        out += row({fmt::format("<span class=\"{0}\">{0}</span>", result),
                    escaped(check.subject.empty() ? check.name : check.name + " " + check.subject),
                    group_or(check.member), what, base::format_duration(check.took)});
    }
    return out;
}

std::string decision_rows(const model::Drill& drill)
{
    std::string out;
    for (const auto& decision : drill.decisions)
        out += row({escaped(decision.member), escaped(decision.gid), escaped(decision.database),
                    escaped(decision.action),
                    escaped(decision.evidence) +
                        (decision.differs_from_production ? "; differs from production" : "")});
    return out;
}

std::string member_rows(const model::Drill& drill)
{
    std::string out;
    for (const auto& member : drill.members)
        out += row({escaped(member.name), fmt::format("b-{}", member.backup),
                    base::format_size(member.bytes), base::format_size(member.log_bytes),
                    model::format_position(member.reached), escaped(member.evidence)});
    return out;
}

std::string table(std::string_view heading, const std::vector<std::string>& columns,
                  const std::string& rows)
{
    if (rows.empty()) return "";
    return fmt::format("<h2>{}</h2>\n<table>\n{}{}</table>\n", heading, row(columns, "th"), rows);
}

/// Places for the picture.
struct Picture {
    static constexpr double kLeft = 110, kWidth = 860, kRow = 34, kTop = 24;
    std::vector<std::string> lanes;
    double total = 1; ///< seconds

    double x(base::Duration at) const
    {
        return kLeft + kWidth * std::chrono::duration<double>(at).count() / total;
    }
    double y(const std::string& member) const
    {
        auto lane = std::find(lanes.begin(), lanes.end(), member) - lanes.begin();
        return kTop + kRow * static_cast<double>(lane);
    }
};

Picture lay_out(const model::Drill& drill)
{
    Picture picture;
    for (const auto& stage : drill.stages) {
        auto end = std::chrono::duration<double>(stage.start + stage.took).count();
        picture.total = std::max(picture.total, end);
        if (std::find(picture.lanes.begin(), picture.lanes.end(), stage.member) ==
            picture.lanes.end())
            picture.lanes.push_back(stage.member);
    }
    return picture;
}

std::string time_axis(const Picture& picture, double height)
{
    std::string out;
    constexpr int kTicks = 5;
    for (int i = 0; i <= kTicks; ++i) {
        auto at = base::Duration{static_cast<std::int64_t>(picture.total * 1e6 * i / kTicks)};
        auto x = picture.x(at);
        out += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" "
                           "stroke=\"#dde3e9\"/>\n<text x=\"{0:.1f}\" y=\"14\" "
                           "text-anchor=\"{3}\">{4}</text>\n",
                           x, Picture::kTop - 4, height,
                           i == 0        ? "start"
                           : i == kTicks ? "end"
                                         : "middle",
                           base::format_duration(at));
    }
    return out;
}

std::string bars(const Picture& picture, const model::Drill& drill)
{
    std::vector<std::string> names;
    std::string out;
    for (const auto& stage : drill.stages) {
        auto known = std::find(names.begin(), names.end(), stage.name);
        auto colour = kColours[static_cast<std::size_t>(known - names.begin()) % kColours.size()];
        if (known == names.end()) names.push_back(stage.name);
        auto x = picture.x(stage.start);
        auto width = std::max(1.5, picture.x(stage.start + stage.took) - x);
        auto label = escaped(stage.name);
        out += fmt::format("<g><title>{} {}: {}</title><rect x=\"{:.1f}\" y=\"{:.1f}\" "
                           "width=\"{:.1f}\" height=\"{:.0f}\" rx=\"2\" fill=\"{}\"/>",
                           group_or(stage.member), label, base::format_duration(stage.took), x,
                           picture.y(stage.member), width, Picture::kRow - 10, colour);
        // About seven units a letter; what does not fit is in the title and the table.
        if (width > 7.0 * static_cast<double>(stage.name.size()) + 8)
            out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x + 4,
                               picture.y(stage.member) + 16, label);
        out += "</g>\n";
    }
    return out;
}

std::string stage_rows(const model::Drill& drill)
{
    std::string out;
    for (const auto& stage : drill.stages)
        out += row({group_or(stage.member), escaped(stage.name), base::format_duration(stage.start),
                    base::format_duration(stage.took)});
    return out;
}

} // namespace

std::string stage_picture(const model::Drill& drill)
{
    auto picture = lay_out(drill);
    auto height = Picture::kTop + Picture::kRow * static_cast<double>(picture.lanes.size()) + 4;
    std::string out = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 "
                                  "1000 {:.0f}\" role=\"img\" aria-label=\"stages over time\">\n",
                                  height);
    out += time_axis(picture, height);
    for (const auto& lane : picture.lanes)
        out += fmt::format("<text x=\"0\" y=\"{:.1f}\">{}</text>\n", picture.y(lane) + 16,
                           group_or(lane));
    return out + bars(picture, drill) + "</svg>\n";
}

std::string drill_html(const model::Drill& drill, std::optional<model::Number> number)
{
    auto title = fmt::format(
        "{} of group {}, {}",
        number ? repo::drill_id(*number) : std::string(model::drill_kind_name(drill.kind)),
        drill.group, point_title(drill.mark, drill.mark_name, drill.mark_time));
    std::string out = fmt::format(fmt::runtime(kHead), escaped(title));
    out += fmt::format(
        "<p>{} {}. Drill from {} to {} on {}{}.</p>\n", drill.mark == 0 ? "Restored to" : "Mark of",
        base::format_time_human(drill.mark_time), base::format_time_human(drill.started),
        base::format_time_human(drill.ended), escaped(drill.host),
        drill.restore_took
            ? "; all members were open after " + base::format_duration(*drill.restore_took)
            : "");
    out += fmt::format("<p class=\"verdict {}\">{}</p>\n", drill.passed() ? "passed" : "failed",
                       escaped(drill_verdict(drill)));
    if (!drill.failure.empty()) out += "<p>It ended early: " + escaped(drill.failure) + "</p>\n";
    if (!drill.stages.empty()) out += "<h2>Stages</h2>\n" + stage_picture(drill);
    out += table("Checks", {"result", "check", "member", "what", "took"}, check_rows(drill));
    out += table("In doubt at the mark", {"member", "gid", "database", "done", "evidence"},
                 decision_rows(drill));
    out += table("Members", {"member", "backup", "written", "log replayed", "reached", "evidence"},
                 member_rows(drill));
    out += table("Times", {"member", "stage", "after", "took"}, stage_rows(drill));
    for (const auto& sentence : drill.half_there)
        out += "<p class=\"skipped\">half there: " + escaped(sentence) + "</p>\n";
    for (const auto& warning : drill.warnings)
        if (std::ranges::count(drill.half_there, warning) == 0)
            out += "<p class=\"skipped\">warning: " + escaped(warning) + "</p>\n";
    return out + "</body></html>\n";
}

} // namespace tidemark::app
