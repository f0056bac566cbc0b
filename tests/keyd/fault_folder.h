// SPDX-License-Identifier: AGPL-3.0-only
// A disk in memory for the journal that keeps apart what was written and what a loss of power would
// leave, and that fails its N-th call, or ends the world there.
#ifndef AUSPEX_TESTS_KEYD_FAULT_FOLDER_H_
#define AUSPEX_TESTS_KEYD_FAULT_FOLDER_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "keyd/journal_file.h"
#include "keyd/memory_journal.h"

namespace auspex::keyd {

struct FaultyDisk {
  // Changes that a disk can fail at are counted from 1: write, flush and cut of a file; make, rename
  // and remove a name; flush the folder.
  int operations = 0;
  int fail_at = 0;           // this one fails; 0: none
  int crash_at = 0;          // this one and all after it fail without any effect; 0: none
  bool short_write = false;  // a failing write leaves half of its octets behind

  // What a restart finds when only the process died, and when the power failed.
  MemoryJournalFolder::Files Written() const;
  MemoryJournalFolder::Files Durable() const;
  // Has the disk hold `files`, durable, with no more failures to come.
  void Restart(const MemoryJournalFolder::Files& files);

  struct Node {
    std::string written, durable;
  };
  mutable std::mutex mutex;
  std::map<std::string, std::shared_ptr<Node>> names, durable_names;
  // OK unless the call that comes now fails.
  absl::Status Count();
};

class FaultyFolder : public JournalFolder {
 public:
  explicit FaultyFolder(std::shared_ptr<FaultyDisk> disk) : disk_(std::move(disk)) {}
  std::string path() const override { return "faulty"; }
  absl::StatusOr<std::vector<std::string>> List() const override;
  absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& name) const override;
  absl::StatusOr<std::unique_ptr<JournalFile>> Create(const std::string& name) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& name) override;
  absl::Status Sync() override;

 private:
  class File;
  const std::shared_ptr<FaultyDisk> disk_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_TESTS_KEYD_FAULT_FOLDER_H_
