// SPDX-License-Identifier: AGPL-3.0-only
// The database's schema and how an older file becomes a present one. docs/formats/database.md
// explains the tables.
#ifndef AUSPEX_STATED_SCHEMA_H_
#define AUSPEX_STATED_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "stated/sqlite.h"

namespace auspex::stated {

// The version that this program writes (PRAGMA user_version).
int SchemaVersion();

// Brings an open database to SchemaVersion, each step in one transaction with its version number.
// FAILED_PRECONDITION when the file is newer than the program. `now_micros` seeds the outbox's
// numbers, so that they are not used again after a Forget.
absl::Status MigrateSchema(Connection& db, int64_t now_micros);

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_SCHEMA_H_
