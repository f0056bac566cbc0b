// SPDX-License-Identifier: AGPL-3.0-only
// Workers as the store holds them, and their JSON views (coordinator 5.2). Called inside a
// request's savepoint; errors are the database's sticky error. Single-threaded.
#ifndef AUSPEX_COORDD_WORKER_STORE_H_
#define AUSPEX_COORDD_WORKER_STORE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/ids/ids.h"
#include "common/json/value.h"
#include "coordd/database.h"

namespace auspex::coordd {

struct WorkerRow {
  int64_t id = 0;  // integer key
  std::string worker_id, pubkey;
  std::string capabilities;  // canonical JSON object
  int64_t tier = 0;
  std::optional<std::string> account_id;
  int64_t registered_at = 0;  // all times: Unix microseconds
  std::optional<int64_t> last_heartbeat_at, retired_at, quarantined_at, paused_at;
  std::optional<std::string> quarantine_reason, pause_reason;
};

std::optional<WorkerRow> FindWorker(Database& db, const WorkerId& worker_id);
std::optional<WorkerRow> FindWorkerByKey(Database& db, const PublicKeyHex& pubkey);

// What a worker sees of itself, or, with `for_maintainer`, the whole record. Nulls are left out.
JsonObject WorkerView(const WorkerRow& worker, bool for_maintainer);

// Puts the worker into quarantine; keeps the first time and reason when it already is.
void QuarantineWorker(Database& db, int64_t worker, int64_t now,
                      const std::optional<std::string>& reason);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_WORKER_STORE_H_
