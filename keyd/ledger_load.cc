// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/ledger_load.h"

#include <functional>

#include "common/base/status_macros.h"

namespace auspex::keyd {
namespace {
constexpr size_t kChunk = 128;  // slots: 8 KiB
}  // namespace

absl::Status LedgerLoad::Add(const LedgerFile::Slot& slot) {
  if (parts_.empty()) parts_.resize(LedgerFile::kParts);
  Part& part = parts_[LedgerFile::PartOf(slot.key)];
  part.open.push_back(slot);
  ++added_;
  return part.open.size() < kChunk ? absl::OkStatus() : WriteOut(part);
}

absl::Status LedgerLoad::WriteOut(Part& part) {
  if (!fd_.valid()) {
    ASSIGN_OR_RETURN(fd_, OpenNamelessFile(folder_));
  }
  RETURN_IF_ERROR(WriteSlots(fd_.get(), folder_, end_, part.open.data(), kChunk));
  part.chunks.push_back(end_);
  end_ += kChunk;
  part.open.clear();
  return absl::OkStatus();
}

absl::Status LedgerLoad::Finish(LedgerFile& file) {
  std::vector<LedgerFile::Slot> chunk(kChunk);
  return file.Build(
      added_, [&](size_t number, const std::function<absl::Status(const LedgerFile::Slot&)>& take) {
        if (number >= parts_.size()) return absl::OkStatus();
        const Part& part = parts_[number];
        for (const uint64_t at : part.chunks) {
          RETURN_IF_ERROR(ReadSlots(fd_.get(), folder_, at, chunk.data(), kChunk));
          for (const LedgerFile::Slot& slot : chunk) RETURN_IF_ERROR(take(slot));
        }
        for (const LedgerFile::Slot& slot : part.open) RETURN_IF_ERROR(take(slot));
        return absl::OkStatus();
      });
}

}  // namespace auspex::keyd
