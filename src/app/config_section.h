#pragma once

#include "base/clock.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <utility>
#include <vector>

namespace tidemark::app {

/// What is wrong with a configuration file, told all at once, and which keys do nothing yet.
class Findings {
public:
    explicit Findings(std::filesystem::path path) : path_(std::move(path)) {}

    void mistake(unsigned line, const std::string& what);
    /// Throws Error{usage} with every mistake in the order of the lines, "FILE:LINE: what" each.
    void finish();

    std::vector<std::string> inactive; ///< "group.shop.incr"

private:
    std::filesystem::path path_;
    std::vector<std::pair<unsigned, std::string>> mistakes_;
};

/// What a table may hold. Keys in `later` are accepted and reported by `check` as not active.
struct Keys {
    std::vector<std::string_view> known;
    std::vector<std::string_view> later;
};

/// One table of the file, under its full name. What cannot be read as asked becomes a mistake and
/// reads as absent.
class Section {
public:
    Section(const toml::table& table, std::string name, Findings& findings)
        : table_(&table), name_(std::move(name)), findings_(&findings)
    {
    }

    const std::string& name() const { return name_; }
    bool has(std::string_view key) const { return table_->contains(key); }
    /// Names every other key as a mistake, with the nearest that is known.
    void allow(const Keys& keys) const;

    std::optional<std::string> text(std::string_view key) const;
    /// A text, or an array of texts; none is empty.
    std::vector<std::string> texts(std::string_view key) const;
    std::optional<base::Duration> duration(std::string_view key) const;
    /// "50%" as 0.5; from 1 % to 100 %.
    std::optional<double> share(std::string_view key) const;
    std::optional<std::int64_t> number(std::string_view key, std::int64_t least,
                                       std::int64_t most) const;
    std::optional<Section> table(std::string_view key) const;
    /// The tables of [key.NAME], with their NAMEs.
    std::vector<std::pair<std::string, Section>> tables(std::string_view key) const;
    /// The tables of [[key]].
    std::vector<Section> list(std::string_view key) const;
    /// A program and its arguments; there is no shell. Empty when absent.
    std::vector<std::string> command(std::string_view key) const;

    /// A mistake in the whole table: `what` is a sentence.
    void mistake(const std::string& what) const;
    /// A mistake in one key's value: "NAME.KEY" and what is to be said of it.
    void mistake(std::string_view key, const std::string& what) const;
    /// A sentence about one key's value, or its absence.
    void mistake_at(std::string_view key, const std::string& sentence) const;

private:
    std::string full(std::string_view key) const;

    const toml::table* table_;
    std::string name_;
    Findings* findings_;
};

} // namespace tidemark::app
