// SPDX-License-Identifier: AGPL-3.0-only
// LabCoordinator: a coordinator process of the lab's own on a free port of 127.0.0.1, and the
// maintainer's calls to it. The process ends with this object. One thread.
#ifndef AUSPEX_CLI_LAB_COORDINATOR_H_
#define AUSPEX_CLI_LAB_COORDINATOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/lab/grid.h"
#include "cli/lab/package.h"
#include "cli/process/child.h"
#include "common/http/http_client.h"
#include "common/wire/base_url.h"

namespace auspex::cli::lab {

// How far the experiment is.
struct LabProgress {
  int64_t units = 0, done = 0, agreed = 0, disagreed = 0, running = 0, results = 0, receipts = 0;
  friend bool operator==(const LabProgress&, const LabProgress&) = default;
};

// One finished unit.
struct LabResult {
  std::string unit_id;
  bool agreed = false;
  JsonValue payload;  // what the workers agreed on; null otherwise
};

class LabCoordinator {
 public:
  // Starts the process with its state in `folder` and its log in `folder`.log, and waits until it
  // serves.
  static absl::StatusOr<std::unique_ptr<LabCoordinator>> Start(const std::string& folder,
                                                               bool outlives_parent);

  // "http://127.0.0.1:PORT".
  const std::string& url() const { return url_; }
  // Hex of the key that signs receipts.
  const std::string& receipt_key() const { return receipt_key_; }
  Child& process() { return process_; }

  // Submits everything in one call; the experiment's id.
  absl::StatusOr<std::string> Submit(const PackedExperiment& experiment,
                                     const std::vector<LabUnit>& units, int replication);
  absl::StatusOr<LabProgress> Progress(const std::string& experiment_id);
  absl::StatusOr<std::vector<LabResult>> Results(const std::string& experiment_id);

 private:
  explicit LabCoordinator(BaseUrl base);
  // The coordinator is a process of this lab on a machine of any speed, and one call hands it all units.
  static constexpr double kCallSeconds = 60;
  // One call with the maintainer's token; the body of a 2xx.
  absl::StatusOr<JsonValue> Call(const std::string& method, const std::string& path,
                                 std::string body = {}, double seconds = kCallSeconds);

  BaseUrl base_;
  HttpClient http_;
  std::string url_, token_, receipt_key_;
  Child process_;
};

}  // namespace auspex::cli::lab

#endif  // AUSPEX_CLI_LAB_COORDINATOR_H_
