// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "stated/schema.h"

namespace auspex::stated {
namespace {

// More waiting closures than this go into the next transaction, which bounds how long the first one
// waits.
constexpr size_t kMaxGroup = 256;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// SQLite would make the file with the umask's mode, and gives its side files the mode of this one.
absl::Status MakePrivateFile(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return ErrnoStatus(errno, "open", path);
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoStatus(errno, "chmod", path);
  return SyncDirectory(FolderOf(path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         const Clock& clock) {
  std::unique_ptr<Database> database(new Database(path, clock));
  RETURN_IF_ERROR(database->OpenFiles());
  database->thread_ = std::thread([raw = database.get()] { raw->WriterLoop(); });
  return database;
}

Database::~Database() { Stop(); }

absl::Status Database::OpenFiles() {
  RETURN_IF_ERROR(MakePrivateFile(path_));
  ASSIGN_OR_RETURN(writer_, Connection::Open(path_, Connection::Mode::kReadWrite));
  RETURN_IF_ERROR(MigrateSchema(*writer_, clock_.NowMicros()));
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> reader,
                   Connection::Open(path_, Connection::Mode::kReadOnly));
  const std::lock_guard lock(read_mutex_);
  reader_ = std::move(reader);
  return absl::OkStatus();
}

absl::Status Database::RecreateNow() {
  {
    const std::lock_guard lock(read_mutex_);
    reader_.reset();
  }
  writer_.reset();
  for (const char* suffix : {"-wal", "-shm", "-journal", ""}) {
    const std::string file = path_ + suffix;
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, "unlink", file);
  }
  return OpenFiles();
}

absl::Status Database::Write(const Work& work) { return Submit(&work); }
absl::Status Database::Recreate() { return Submit(nullptr); }

absl::Status Database::Submit(const Work* work) {
  Job job;
  job.work = work;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return absl::UnavailableError("database: stated is stopping");
    queue_.push_back(&job);
    if (queue_.size() == 1) wake_.notify_one();
  }
  job.done.acquire();
  return job.status;
}

absl::Status Database::Read(const Work& work) {
  const std::lock_guard lock(read_mutex_);
  if (reader_ == nullptr) return absl::UnavailableError("database: it is not open");
  RETURN_IF_ERROR(Statement(*reader_, "BEGIN").Run());
  const absl::Status status = work(*reader_);
  const absl::Status ended = Statement(*reader_, "COMMIT").Run();
  return status.ok() ? ended : status;
}

void Database::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

uint64_t Database::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

void Database::WriterLoop() {
  while (true) {
    std::vector<Job*> batch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      // A group ends before a Recreate, which runs alone.
      size_t take = 0;
      while (take < queue_.size() && take < kMaxGroup && queue_[take]->work != nullptr) ++take;
      if (take == 0) take = 1;
      batch.assign(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(take));
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(take));
    }
    if (batch.front()->work == nullptr) {
      batch.front()->status = RecreateNow();
    } else {
      RunBatch(batch);
    }
    for (Job* job : batch) job->done.release();
  }
}

void Database::RunBatch(const std::vector<Job*>& batch) {
  if (writer_ == nullptr) {
    for (Job* job : batch) job->status = absl::UnavailableError("database: it is not open");
    return;
  }
  if (RunTogether(batch) || batch.size() == 1) return;
  // The group as a whole failed (a full disk, say): small writes may still fit when they go alone.
  for (Job* job : batch) RunTogether({job});
}

bool Database::RunTogether(const std::vector<Job*>& batch) {
  Connection& db = *writer_;
  const auto run = [&](SqlText sql) { return Statement(db, sql).Run(); };
  const auto give_up = [&](const absl::Status& status) {
    if (db.InTransaction()) db.Exec("ROLLBACK").IgnoreError();
    for (Job* job : batch) job->status = status;
    LogWarning("commit_failed",
               {{"reason", std::string(status.message())}, {"writes", batch.size()}});
    return false;
  };
  if (absl::Status begun = run("BEGIN IMMEDIATE"); !begun.ok()) return give_up(begun);
  bool changed = false;
  for (Job* job : batch) {
    if (absl::Status saved = run("SAVEPOINT one"); !saved.ok()) return give_up(saved);
    job->status = (*job->work)(db);
    // SQLite undoes the whole transaction by itself on some errors.
    if (!db.InTransaction()) return give_up(job->status);
    if (!job->status.ok()) {
      if (absl::Status undone = run("ROLLBACK TO one"); !undone.ok()) return give_up(undone);
    }
    changed = changed || job->status.ok();
    if (absl::Status released = run("RELEASE one"); !released.ok()) return give_up(released);
  }
  if (!changed) {
    db.Exec("ROLLBACK").IgnoreError();
    return true;
  }
  if (absl::Status committed = run("COMMIT"); !committed.ok()) return give_up(committed);
  const std::lock_guard lock(mutex_);
  ++commits_;
  return true;
}

}  // namespace auspex::stated
