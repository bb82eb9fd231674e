#pragma once

#include "app/config.h"
#include "engine/engine.h"
#include "store/storage.h"

#include <memory>
#include <string>

namespace tidemark::app {

/// The one place that names concrete stores and engines.

/// A store by its URL: a path or file://PATH. `create` makes the folder when it is missing.
std::unique_ptr<store::Storage> open_storage(const std::string& url, bool create);

/// The engine that serves this member URL (postgresql://, postgres:// or key=value form).
engine::Engine& engine_for(const std::string& url);
/// By the name stored in the repository.
engine::Engine& engine_named(const std::string& name);

} // namespace tidemark::app
