#include "app/cli/commands.h"
#include "app/cli/table.h"
#include "app/demo/demo.h"
#include "base/random.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tidemark::app {

using nlohmann::json;

namespace {

json result_json(const DemoResult& result)
{
    const auto& v = result.verdict;
    return {{"name", result.name},      {"how", result.how},
            {"torn", v.torn},           {"torn_in_doubt", v.torn_in_doubt},
            {"in_doubt", v.in_doubt},   {"missing", v.missing},
            {"too_new", v.too_new},     {"undead", v.undead},
            {"strangers", v.strangers}, {"unbalanced", v.unbalanced},
            {"total", v.total},         {"expected_total", v.expected_total},
            {"present", v.present}};
}

std::vector<std::string> result_row(const DemoResult& result)
{
    const auto& v = result.verdict;
    return {result.name, std::to_string(result.torn()), std::to_string(v.in_doubt),
            fmt::format("{:+}", v.total - v.expected_total), result.how};
}

} // namespace

int run_demo(Environment& environment)
{
    const auto& options = environment.options();
    DemoOptions demo{.members = options.members,
                     .seconds = options.seconds,
                     .seed = 0,
                     .keep = options.keep,
                     .helper = "/proc/self/exe",
                     .stop = environment.stop()};
    base::SystemRandom random;
    demo.seed = options.seed.value_or(random.below(1'000'000));
    std::error_code error;
    if (auto self = std::filesystem::read_symlink("/proc/self/exe", error); !error)
        demo.helper = self.string();
    auto report = run_demo(demo, environment.progress());

    Table table({"RESTORED", "TORN", "IN DOUBT", "MONEY OFF BY", "HOW"});
    table.row(result_row(report.tidemark));
    for (const auto& contrast : report.contrasts)
        table.row(result_row(contrast));
    const auto& verdict = report.tidemark.verdict;
    auto& output = environment.output();
    output.text("\n" + table.render());
    output.text(fmt::format("\n{} transfers committed, {} rolled back; {} marks, the last one's "
                            "restore points within {:.1f} ms; {} branches in doubt there\n",
                            report.load.committed, report.load.rolled_back, report.marks,
                            static_cast<double>(report.last_spread.count()) / 1000,
                            report.in_doubt));
    output.text(fmt::format("proof at {}: {} transfers present, {} half there, money off by {}, {} "
                            "acknowledged before it missing, {} begun after it present\n",
                            report.mark, verdict.present, report.tidemark.torn(),
                            verdict.total - verdict.expected_total, verdict.missing,
                            verdict.too_new));
    output.text(report.proven() ? "the proof holds\n"
                                : "THE PROOF DOES NOT HOLD: " + verdict.describe() + "\n");
    if (options.keep)
        output.text(fmt::format(
            "everything is kept in {}; try: tidemark --config {}/tidemark.toml list marks\n",
            options.keep->string(), options.keep->string()));
    auto& document = output.document();
    document["seed"] = report.seed;
    document["mark"] = report.mark;
    document["marks"] = report.marks;
    document["committed"] = report.load.committed;
    document["rolled_back"] = report.load.rolled_back;
    document["spread_us"] = report.last_spread.count();
    document["backup_us"] = report.backup_time.count();
    document["restore_us"] = report.restore_time.count();
    document["tidemark"] = result_json(report.tidemark);
    for (const auto& contrast : report.contrasts)
        document["contrasts"].push_back(result_json(contrast));
    document["proven"] = report.proven();
    return static_cast<int>(report.outcome());
}

} // namespace tidemark::app
