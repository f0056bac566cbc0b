// SPDX-License-Identifier: AGPL-3.0-only
// JournalClient: keyd's journal over its owner socket: records as they are and as they come, and a
// fresh checkpoint. Calls from one thread; Stop from any.
#ifndef AUSPEX_CLI_JOURNAL_CLIENT_H_
#define AUSPEX_CLI_JOURNAL_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "auspex/keyd/v1/keyd.pb.h"
#include "common/paths/layout.h"

namespace auspex::cli {

namespace keyd_v1 = ::auspex::keyd::v1;

class JournalClient {
 public:
  explicit JournalClient(const Layout& layout);
  ~JournalClient();

  // Shows the records from `first` on to `visit` until it returns false. With `follow` goes on with
  // those that come, without a deadline, until then or until Stop; CANCELLED after a Stop.
  absl::Status List(uint64_t first, bool follow,
                    const std::function<bool(const keyd_v1::JournalRecord&)>& visit);
  // Ends the List that runs and all that come.
  void Stop();

  absl::StatusOr<keyd_v1::SignCheckpointResponse> SignCheckpoint();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_JOURNAL_CLIENT_H_
