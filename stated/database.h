// SPDX-License-Identifier: AGPL-3.0-only
// Database: the one owner of stated's SQLite file. Writes go through one thread with group commit:
// all closures that wait are run in one transaction, each inside a savepoint of its own, then
// committed with one fsync, then all callers are told. Reads use a second connection and see only
// what is committed. All methods may be called from any thread; they block.
#ifndef AUSPEX_STATED_DATABASE_H_
#define AUSPEX_STATED_DATABASE_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "stated/sqlite.h"

namespace auspex::stated {

class Database {
 public:
  // A closure over the open transaction. It may be run twice when the group that it was in could
  // not be committed, so it assigns its results and does not add to them. A status that is not OK
  // undoes what it did and nothing else.
  using Work = std::function<absl::Status(Connection&)>;

  // Opens `path`, making it (mode 0600) when it is missing, and migrates it. FAILED_PRECONDITION
  // for a newer schema, DATA_LOSS for a file that is no database.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        const Clock& clock);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs `work` in a transaction. OK means that it is on disk. RESOURCE_EXHAUSTED when the disk is
  // full, UNAVAILABLE after Stop and while the file is locked or cannot be written.
  absl::Status Write(const Work& work);
  // Runs `work` on one consistent snapshot of what is committed. `work` must not keep the
  // connection.
  absl::Status Read(const Work& work);
  // Closes the database, deletes it with its side files and opens an empty one. Writes that wait
  // are run on the empty one.
  absl::Status Recreate();
  // Finishes the writes that wait and takes no more. Idempotent.
  void Stop();

  // Transactions committed so far; tests see by it that writes are grouped.
  uint64_t commits() const;
  const std::string& path() const { return path_; }

 private:
  struct Job {
    const Work* work = nullptr;  // nullptr: recreate
    absl::Status status;
    std::binary_semaphore done{0};
  };
  Database(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}
  absl::Status OpenFiles();
  absl::Status RecreateNow();
  absl::Status Submit(const Work* work);
  void WriterLoop();
  void RunBatch(const std::vector<Job*>& batch);
  // Runs all of `batch` in one transaction; false when SQLite gave the whole of it up (each job
  // then holds the error).
  bool RunTogether(const std::vector<Job*>& batch);

  const std::string path_;
  const Clock& clock_;
  std::unique_ptr<Connection> writer_;  // used by the writer thread only, but for Open
  std::mutex read_mutex_;
  std::unique_ptr<Connection> reader_;  // guarded by read_mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Job*> queue_;  // guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
  uint64_t commits_ = 0;     // guarded by mutex_
  std::thread thread_;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_DATABASE_H_
