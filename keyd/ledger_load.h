// SPDX-License-Identifier: AGPL-3.0-only
// LedgerLoad: collects what the journal says about assignments at start, and then builds the table
// of it in one pass. Put in one by one, a million slots at random places would cost seconds. What is
// collected goes, sorted by the first bits of its key, to a file without a name; in memory there is
// a buffer for each part. Not thread-safe.
#ifndef AUSPEX_KEYD_LEDGER_LOAD_H_
#define AUSPEX_KEYD_LEDGER_LOAD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/unique_fd.h"
#include "keyd/ledger_file.h"

namespace auspex::keyd {

class LedgerLoad {
 public:
  // `folder` as of LedgerFile.
  explicit LedgerLoad(std::string folder) : folder_(std::move(folder)) {}

  // A body or a result (the other is zero) of slot.key. Of several bodies for one key the first
  // counts, of several results the last.
  absl::Status Add(const LedgerFile::Slot& slot);
  // Builds the table in `file`, which must be empty. Once, at the end.
  absl::Status Finish(LedgerFile& file);
  bool empty() const { return added_ == 0; }

 private:
  struct Part {
    std::vector<LedgerFile::Slot> open;  // not yet in the file
    std::vector<uint64_t> chunks;        // where the full buffers before are, in order
  };
  absl::Status WriteOut(Part& part);

  const std::string folder_;
  UniqueFd fd_;
  uint64_t end_ = 0;
  uint64_t added_ = 0;
  std::vector<Part> parts_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_LEDGER_LOAD_H_
