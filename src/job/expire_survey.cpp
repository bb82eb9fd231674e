#include "job/expire_survey.h"

#include "base/error.h"
#include "job/expire_readers.h"
#include "job/failed_full.h"
#include "repo/drills.h"
#include "repo/layout.h"
#include "repo/planner.h"
#include "repo/runs.h"

#include <algorithm>
#include <fmt/format.h>

namespace tidemark::job {

using repo::KeyKind;

namespace {

/// Translates between the repository's objects and the pure rule.
class Surveyor {
public:
    Surveyor(const Context& context, const SurveyOptions& options)
        : storage_(context.storage()), group_(context.group.name), options_(options)
    {
    }

    Survey run()
    {
        // The listing first: what comes later is not in it and does not go.
        for (auto& info : storage_.list(repo::group_prefix(group_)))
            out_.objects.emplace(info.key, info);
        out_.tombstones = repo::Tombstones(storage_, group_).list();
        out_.view = repo::load_view(storage_, group_, {.marks = 0, .proofs = false});
        input_.now = storage_.now();
        input_.policy = options_.policy;
        input_.proven = options_.proven;
        add_holds(storage_, group_, input_, out_.lost_holds);
        add_readers(storage_, group_, input_, out_.lost_restores);
        repo::Planner planner{out_.view, true, repo::Unclosed::oldest_first};
        add_marks(planner);
        add_sets();
        for (const auto& [name, member] : out_.view.members)
            add_member(planner, name, member);
        add_events();
        out_.plan = model::plan_retention(input_);
        collect_commits();
        for (const auto& [name, member] : out_.view.members)
            collect_data(name, member);
        for (const auto* keys : {&out_.commits, &out_.data})
            for (const std::string& key : *keys)
                out_.bytes += out_.objects.at(key).size;
        return std::move(out_);
    }

private:
    /// Packs may be read although no manifest is there any more that names them.
    bool is_read(const std::string& member, const std::string& key) const
    {
        auto parsed = repo::parse_key(key);
        return std::any_of(
            input_.readers.begin(), input_.readers.end(), [&](const model::RetentionReader& one) {
                auto reads = one.reads.find(member);
                return one.everything ||
                       (parsed && reads != one.reads.end() &&
                        std::ranges::count(reads->second.backups, parsed->number) > 0);
            });
    }

    void add_marks(repo::Planner& planner)
    {
        std::map<model::Number, const repo::StoredMark*> by_number;
        for (const auto& mark : out_.view.marks)
            by_number.emplace(mark.number(), &mark);
        for (const auto& mark : out_.view.marks) {
            auto recorded = out_.objects.find(mark.object.key);
            bool moment = mark.value.is_moment();
            bool dated = moment && recorded != out_.objects.end();
            model::RetentionMark line{.number = mark.number(),
                                      .created =
                                          dated ? recorded->second.modified : mark.value.created,
                                      .previous = {},
                                      .named = !mark.value.name.empty(),
                                      .restorable = true,
                                      .moment = moment};
            const repo::StoredMark* previous = nullptr;
            if (mark.value.previous) {
                auto number = repo::parse_mark_selector(*mark.value.previous).number;
                auto known = by_number.find(number);
                if (known != by_number.end()) previous = known->second;
                line.previous = number;
            }
            auto goals = repo::goals_of(mark.value, {});
            line.restorable = !goals.empty();
            for (const auto& goal : goals)
                line.restorable = add_need(planner, goal, previous, line) && line.restorable;
            input_.marks.push_back(std::move(line));
        }
        // One that cannot be read grows old like the others.
        for (const auto& [key, why] : out_.view.unreadable) {
            auto parsed = repo::parse_key(key);
            auto info = out_.objects.find(key);
            if (parsed && parsed->kind == KeyKind::mark && info != out_.objects.end())
                input_.marks.push_back({.number = parsed->number,
                                        .created = info->second.modified,
                                        .previous = {},
                                        .needs = {}});
        }
    }

    bool add_need(repo::Planner& planner, const repo::MemberGoal& goal,
                  const repo::StoredMark* previous, model::RetentionMark& line)
    {
        model::RetentionNeed& need = line.needs[goal.member];
        const repo::StoredManifest* backup = planner.choose(goal);
        if (backup == nullptr) return false;
        need.backup = backup->number();
        model::Offset from = backup->value.start.offset;
        // The proof goes on where the table of the mark before it ends.
        if (previous != nullptr)
            for (const auto& known : previous->value.members)
                if (known.name == goal.member &&
                    goal.history.epoch_at(known.e) == known.history.epoch_at(known.e))
                    from = std::min(from, known.e);
        // Reading begins at a segment's first page (rules.md 11).
        if (auto segment = backup->value.identity.log_segment_size; segment != 0)
            from -= from % segment;
        need.log =
            repo::epoch_ranges(goal.history, {goal.history.epoch_at(from), from}, goal.log_to);
        return true;
    }

    void add_sets()
    {
        for (const auto& set : out_.view.sets) {
            model::RetentionSet line{.number = set.number(), .mark = set.value.mark};
            for (const auto& [name, member] : set.value.members) {
                if (member.backup) line.backups[name] = *member.backup;
                for (const auto& piece : member.pieces)
                    line.pieces[name].insert(piece.object.key);
            }
            input_.sets.push_back(std::move(line));
        }
        auto full = repo::read_lease(storage_, group_, kFullActivity);
        input_.closing = full && is_in_force(*full, storage_.now());
        for (const auto& [key, why] : out_.view.unreadable) {
            auto parsed = repo::parse_key(key);
            input_.closing = input_.closing || (parsed && parsed->kind == KeyKind::set);
        }
    }

    void add_member(repo::Planner& planner, const std::string& name, const repo::MemberView& member)
    {
        model::RetentionMember& line = input_.members[name];
        for (const auto& backup : member.backups) {
            line.backups.push_back({.number = backup.number(), .ended = backup.value.ended});
            if (const auto* older = planner.stand_in(backup))
                line.backups.back().stand_in = older->number();
        }
        std::set<std::string> joined;
        for (const auto& piece : member.joined)
            joined.insert(piece.object.key);
        for (const auto& piece : member.log.pieces) {
            auto info = out_.objects.find(piece.key);
            if (info == out_.objects.end()) continue; // newer than our look
            line.pieces.push_back({.key = piece.key,
                                   .range = piece.range,
                                   .stored = info->second.modified,
                                   .joined = joined.contains(piece.key)});
        }
        line.settled = settled_log(out_.view, name);
        line.left = !member.identities.empty() && member.identities.front().value.has_left();
        for (const auto& mark : out_.view.marks)
            for (const auto& one : mark.value.members)
                if (one.name == name) {
                    line.history = one.history;
                    return;
                }
    }

    void add_events()
    {
        std::vector<model::RetentionEvent> runs;
        for (const auto& [key, info] : out_.objects) {
            auto parsed = repo::parse_key(key);
            if (!parsed) continue;
            if (parsed->kind == KeyKind::run)
                runs.push_back({.number = parsed->number, .at = info.modified});
            if (parsed->kind == KeyKind::drill) add_drill(parsed->number, info.modified);
        }
        for (auto& run : runs)
            if (asks_how_it_went(run)) run.failed = failed(run.number);
        // Fewer stay all.
        if (input_.drills.size() > input_.policy.drills)
            for (auto& drill : input_.drills)
                if (asks_how_it_went(drill)) drill.failed = failed_drill(drill.number);
        input_.runs = std::move(runs);
    }

    void add_drill(model::Number number, base::Time at)
    {
        model::RetentionEvent line{.number = number, .at = at};
        auto proof = options_.proofs.find(number);
        if (proof != options_.proofs.end()) line.proves = proof->second;
        input_.drills.push_back(line);
    }

    bool asks_how_it_went(const model::RetentionEvent& event) const
    {
        auto cutoff = input_.now - std::chrono::hours{24} * input_.policy.keep_days;
        return !event.proves && event.at < input_.now - input_.policy.keep_all &&
               event.at >= cutoff;
    }

    bool failed_drill(model::Number number) const
    {
        try {
            auto drill = repo::Drills(storage_, group_).load(number);
            return drill && !drill->value.passed();
        } catch (const base::Error& error) {
            if (error.code() != base::Code::not_restorable) throw; // it is damaged
            return true;
        }
    }

    bool failed(model::Number run) const
    {
        auto key = repo::run_key(group_, run);
        auto bytes = store::get(storage_, key, 64U << 20);
        if (!bytes) return false;
        try {
            return repo::decode_run(*bytes, {.key = key}).value.exit_code != 0;
        } catch (const base::Error& error) {
            if (error.code() != base::Code::failed) throw;
            return true;
        }
    }

    void go(std::vector<std::string>& keys, std::string key)
    {
        if (out_.objects.contains(key) && taken_.insert(key).second) keys.push_back(std::move(key));
    }

    void collect_commits()
    {
        auto each = [&](const std::map<model::Number, model::Fate>& fates, const auto& key) {
            for (const auto& [number, fate] : fates)
                if (!fate.stays) go(out_.commits, key(number));
        };
        each(out_.plan.sets, [&](model::Number n) { return repo::set_key(group_, n); });
        each(out_.plan.marks, [&](model::Number n) { return repo::mark_key(group_, n); });
        for (const auto& [name, fates] : out_.plan.members)
            each(fates.backups,
                 [&, m = name](model::Number n) { return repo::manifest_key({group_, m}, n); });
        each(out_.plan.drills, [&](model::Number n) { return repo::drill_key(group_, n); });
        each(out_.plan.runs, [&](model::Number n) { return repo::run_key(group_, n); });
        collect_generations();
    }

    /// Of holds, joined catalogues and books of restores the newest two are enough; of holds and
    /// books that are damaged one further back may be the newest that can be read.
    void collect_generations()
    {
        std::map<std::string, std::vector<std::string>> generations;
        for (const auto& [key, info] : out_.objects) {
            auto parsed = repo::parse_key(key);
            if (parsed && (parsed->kind == KeyKind::joined ||
                           (parsed->kind == KeyKind::restore && out_.lost_restores.empty()) ||
                           (parsed->kind == KeyKind::hold && out_.lost_holds.empty())))
                generations[key.substr(0, key.rfind('/'))].push_back(key);
        }
        for (const auto& [prefix, keys] : generations)
            for (std::size_t i = 0; i + 2 < keys.size(); ++i)
                go(out_.commits, keys[i]);
    }

    void collect_data(const std::string& name, const repo::MemberView& member)
    {
        const model::MemberFates& fates = out_.plan.members.at(name);
        std::set<std::string> wanted, named;
        for (const auto& backup : member.backups) {
            auto fate = fates.backups.find(backup.number());
            bool stays = fate == fates.backups.end() || fate->second.stays;
            auto note = [&](const std::string& key) {
                named.insert(key);
                if (stays) wanted.insert(key);
            };
            note(backup.value.page_map.key);
            for (const auto& pack : backup.value.packs)
                note(pack.key);
        }
        auto lease = repo::read_lease(storage_, group_, "backup/" + name);
        for (const auto& [key, size] : member.packs)
            if (!wanted.contains(key) && !is_read(name, key) &&
                (named.contains(key) || is_dead(name, key, lease)))
                go(out_.data, key);
        for (const auto& piece : member.log.pieces) {
            auto fate = fates.pieces.find(piece.key);
            if (fate == fates.pieces.end() || fate->second.stays) continue;
            go(out_.data,
               repo::index_key(member.log.id, {.range = piece.range, .lease = piece.lease}));
            go(out_.data, piece.key);
        }
    }

    /// No manifest names it: is whoever wrote it gone, and for long enough?
    bool is_dead(const std::string& member, const std::string& key,
                 const std::optional<repo::LeaseState>& lease) const
    {
        auto parsed = repo::parse_key(key);
        auto info = out_.objects.find(key);
        if (!parsed || info == out_.objects.end()) return false;
        // A manifest that cannot be read may name it.
        if (out_.view.unreadable.contains(repo::manifest_key({group_, member}, parsed->number)))
            return false;
        bool alive = lease && lease->term <= parsed->lease && is_in_force(*lease, storage_.now());
        return !alive && info->second.modified + options_.grace <= input_.now;
    }

    store::Storage& storage_;
    const std::string& group_;
    const SurveyOptions& options_;
    model::RetentionInput input_;
    std::set<std::string> taken_;
    Survey out_;
};

} // namespace

std::optional<model::LogPosition> settled_log(const repo::RepositoryView& view,
                                              const std::string& member)
{
    for (const auto& set : view.sets) { // newest first
        auto part = set.value.members.find(member);
        if (part != set.value.members.end()) return part->second.log_to;
    }
    return std::nullopt;
}

Survey survey(const Context& context, const SurveyOptions& options)
{
    return Surveyor{context, options}.run();
}

} // namespace tidemark::job
