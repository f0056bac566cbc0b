// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/sqlite.h"

#include <sqlite3.h>

#include <cerrno>

#include "common/base/cat.h"
#include "common/base/status_macros.h"

namespace auspex::stated {
namespace {

constexpr int kMaxValueOctets = 8 * 1024 * 1024;
constexpr int kBusyMillis = 5000;

bool DiskIsFull(int code, int system_errno) {
  return (code & 0xff) == SQLITE_FULL ||
         ((code & 0xff) == SQLITE_IOERR &&
          (system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path, Mode mode) {
  std::unique_ptr<Connection> connection(new Connection());
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE |
                    (mode == Mode::kReadWrite ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
  const int code = sqlite3_open_v2(path.c_str(), &connection->db_, flags, nullptr);
  if (code != SQLITE_OK) return connection->Error(code, Cat("open ", path));
  RETURN_IF_ERROR(connection->Configure(mode));
  connection->is_open_ = true;
  return connection;
}

absl::Status Connection::Configure(Mode mode) {
  sqlite3_busy_timeout(db_, kBusyMillis);
  sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, kMaxValueOctets);
  sqlite3_limit(db_, SQLITE_LIMIT_ATTACHED, 0);
  // What is in the file is data: it may not define functions or change SQLite's own tables.
  sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  RETURN_IF_ERROR(
      Exec("PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON;"));
  if (mode == Mode::kReadOnly) return Exec("PRAGMA query_only = ON; PRAGMA cache_size = -512;");
  // auto_vacuum only takes effect while the file is still empty; it lets pruning give space back.
  RETURN_IF_ERROR(
      Exec("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
           "PRAGMA secure_delete = FAST; PRAGMA cache_size = -1024; PRAGMA journal_size_limit = "
           "4194304;"));
  return absl::OkStatus();
}

Connection::~Connection() {
  for (auto& [text, cached] : cache_) sqlite3_finalize(cached.statement);
  sqlite3_close(db_);
}

absl::Status Connection::Exec(SqlText sql) {
  const int code = sqlite3_exec(db_, sql.text(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, sql.text());
}

int64_t Connection::RowsChanged() const { return sqlite3_changes64(db_); }
int64_t Connection::LastInsertRowId() const { return sqlite3_last_insert_rowid(db_); }
bool Connection::InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }

absl::Status Connection::Error(int code, std::string_view doing) const {
  const int system_errno = db_ == nullptr ? 0 : sqlite3_system_errno(db_);
  if (DiskIsFull(code, system_errno)) {
    return absl::ResourceExhaustedError("database: the disk is full; nothing was stored");
  }
  const std::string text = Cat("database: ", doing.substr(0, 120), ": ",
                               db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_));
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(text);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      // Not a "no" to what was asked: the file system may have been made read-only for a while.
      return is_open_ ? absl::UnavailableError(text) : absl::FailedPreconditionError(text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(text);
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::ResourceExhaustedError(text);
    default:
      return absl::InternalError(text);
  }
}

void Statement::Prepare() {
  Connection::Cached& entry = connection_.cache_[sql_.text()];
  if (entry.statement != nullptr && !entry.in_use) {
    statement_ = entry.statement;
    entry.in_use = cached_ = true;
    return;
  }
  // A statement that is running already (a query inside a loop over itself) gets a copy of its own.
  cached_ = entry.statement == nullptr;
  Note(sqlite3_prepare_v3(connection_.db_, sql_.text(), -1, cached_ ? SQLITE_PREPARE_PERSISTENT : 0,
                          &statement_, nullptr));
  if (cached_) {
    entry.statement = statement_;
    entry.in_use = statement_ != nullptr;
  }
}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  if (!cached_) {
    sqlite3_finalize(statement_);
    return;
  }
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  connection_.cache_[sql_.text()].in_use = false;
}

void Statement::Note(int code) {
  if (code != SQLITE_OK && status_.ok()) status_ = connection_.Error(code, sql_.text());
}

void Statement::BindInt(int64_t value) {
  ++bound_;
  if (statement_ != nullptr) Note(sqlite3_bind_int64(statement_, bound_, value));
}

void Statement::BindText(std::string_view value) {
  ++bound_;
  if (statement_ == nullptr) return;
  Note(sqlite3_bind_text64(statement_, bound_, value.data() == nullptr ? "" : value.data(),
                           value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::BindBlob(std::string_view value) {
  ++bound_;
  if (statement_ == nullptr) return;
  Note(sqlite3_bind_blob64(statement_, bound_, value.data() == nullptr ? "" : value.data(),
                           value.size(), SQLITE_STATIC));
}

absl::StatusOr<bool> Statement::Step() {
  RETURN_IF_ERROR(status_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  status_ = connection_.Error(code, sql_.text());
  return status_;
}

absl::Status Statement::Run() {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, Step());
    if (!row) return absl::OkStatus();
  }
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}
int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Statement::Text(int column) const {
  const void* octets = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return octets == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(octets), static_cast<size_t>(size));
}

}  // namespace auspex::stated
