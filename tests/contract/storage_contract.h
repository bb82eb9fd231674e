#pragma once

#include "store/storage.h"

#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <string>

namespace tidemark::store {

/// A store under test, empty at first. `keep` holds whatever must live as long (a folder, a clock)
/// and is destroyed after the store.
struct StoreUnderTest {
    std::shared_ptr<void> keep;
    std::shared_ptr<Storage> storage;
};

struct StorageCase {
    std::string name;
    std::function<StoreUnderTest()> make;
};

/// What every Storage promises (store/storage.h). Instantiate with one StorageCase for each kind.
class StorageContract : public testing::TestWithParam<StorageCase> {
protected:
    StorageContract() : store_(GetParam().make()), storage_(*store_.storage) {}

    /// The object's text, or "(absent)".
    std::string text(std::string_view key, std::optional<Range> range = {});
    Created put_text(std::string_view key, std::string_view text);
    /// The keys that list() shows, joined by spaces.
    std::string listed(std::string_view prefix = "");

    StoreUnderTest store_;
    Storage& storage_;
};

} // namespace tidemark::store
