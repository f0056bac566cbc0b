// SPDX-License-Identifier: AGPL-3.0-only
// MemoryJournalFolder: a journal's folder in memory, for the self-test at start and for tests. Safe
// from any thread; files opened from it share its content and may outlive it.
#ifndef AUSPEX_KEYD_MEMORY_JOURNAL_H_
#define AUSPEX_KEYD_MEMORY_JOURNAL_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "keyd/journal_file.h"

namespace auspex::keyd {

class MemoryJournalFolder : public JournalFolder {
 public:
  using Files = std::map<std::string, std::string>;
  explicit MemoryJournalFolder(const Files& files = {});

  std::string path() const override { return "memory"; }
  absl::StatusOr<std::vector<std::string>> List() const override;
  absl::StatusOr<std::unique_ptr<JournalFile>> Open(const std::string& name) const override;
  absl::StatusOr<std::unique_ptr<JournalFile>> Create(const std::string& name) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& name) override;
  absl::Status Sync() override { return absl::OkStatus(); }
  // Names and content of all files, as they are now.
  Files files() const;

 private:
  struct Content {
    std::mutex mutex;
    std::string octets;
  };
  class File;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Content>> files_;
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_MEMORY_JOURNAL_H_
