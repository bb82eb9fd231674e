#pragma once

#include "repo/backups.h"
#include "repo/identities.h"
#include "repo/joined.h"
#include "repo/log_catalog.h"
#include "repo/marks.h"
#include "repo/sets.h"
#include "store/storage.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace tidemark::repo {

/// What a repository holds for one member, as loaded.
struct MemberView {
    std::vector<StoredManifest> backups;    ///< newest first
    std::vector<StoredIdentity> identities; ///< newest first
    LogCatalog log;
    std::vector<model::PieceRef> joined; ///< pieces that stand for smaller ones (rules.md 36)
    std::map<model::Epoch, model::History> histories; ///< of the epochs whose file is stored, and 1
    std::map<std::string, std::uint64_t> packs; ///< key -> size of every pack and page map there
};

/// The generation that was in force at a time; null before the first.
const StoredIdentity* identity_then(const MemberView& member, base::Time time);

/// Everything that the questions "what can be restored, and how" need: a value.
struct RepositoryView {
    std::string group;
    std::map<std::string, MemberView> members;
    std::vector<StoredMark> marks; ///< newest first
    std::vector<StoredSet> sets;   ///< newest first
    /// Objects known to be damaged: a plan avoids them. Whoever has read them says so (a verify, a
    /// restore on its way); loading a view reads commit objects only, so it knows of none.
    std::set<std::string> damaged_objects;
    /// Commit objects that could not be read, with the reason: key -> message.
    std::map<std::string, std::string> unreadable;
};

enum class SetScope : std::uint8_t {
    all,
    /// From the newest back to one that is full, until each newest base backup and each log piece
    /// that no joined one stands for has been seen in one.
    recent,
    none,
};

struct ViewOptions {
    /// Only so many of the newest; 0: all. All, too, where it takes older ones to tell whether one
    /// of these lacks a member that joined.
    std::size_t marks = 0;
    std::size_t backups = 0; ///< the same for each member
    SetScope sets = SetScope::all;
    std::size_t newest_sets = 0; ///< of all only so many; 0: all
    /// Keep the marks' proofs: branches, verdicts, tables. Without them thousands of marks are
    /// small.
    bool proofs = true;
};
/// Loads it, several objects at a time. Commit objects that cannot be read become `unreadable`,
/// except that a newer format is Error{repository_newer}. An unknown group is Error{usage} naming
/// those there are.
RepositoryView load_view(store::Storage& storage, const std::string& group,
                         const ViewOptions& options = {});

/// What questions about the present need, in a time that does not grow with the history: the newest
/// marks, base backups and sets. All of it where the newest mark cannot be restored from these.
RepositoryView load_recent(store::Storage& storage, const std::string& group, bool proofs = true);

} // namespace tidemark::repo
