// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/base/unique_fd.h"
#include "coordd/schema.h"

namespace auspex::coordd {
namespace {

// The store is its owner's alone; SQLite gives its log and shared memory the same mode. The file is
// closed again before SQLite opens it: closing it later would drop SQLite's locks.
absl::Status MakePrivate(const std::string& path) {
  const UniqueFd file(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (file.get() < 0 || ::fchmod(file.get(), S_IRUSR | S_IWUSR) != 0) {
    return absl::UnavailableError(Cat("store ", path, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

Rows::Rows(Rows&& other) noexcept
    : database_(other.database_),
      key_(other.key_),
      statement_(std::exchange(other.statement_, nullptr)) {}

Rows::~Rows() {
  if (statement_ != nullptr) database_->GiveBack(key_, statement_);
}

bool Rows::Next() {
  if (statement_ == nullptr || !database_->error_.ok()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_->Check(code, "step");
  return false;
}

int64_t Rows::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Rows::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

bool Rows::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::optional<int64_t> Rows::MaybeInt(int column) const {
  if (IsNull(column)) return std::nullopt;
  return Int(column);
}

std::optional<std::string> Rows::MaybeText(int column) const {
  if (IsNull(column)) return std::nullopt;
  return Text(column);
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  RETURN_IF_ERROR(MakePrivate(path));
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
      nullptr);
  if (code != SQLITE_OK) {
    const std::string why = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    sqlite3_close(handle);
    return absl::UnavailableError(Cat("store ", path, ": cannot open: ", why));
  }
  std::unique_ptr<Database> database(new Database(handle));
  RETURN_IF_ERROR(database->Configure());
  RETURN_IF_ERROR(database->Migrate());
  return database;
}

Database::~Database() {
  for (auto& [key, statements] : idle_) {
    for (sqlite3_stmt* statement : statements) sqlite3_finalize(statement);
  }
  sqlite3_close(handle_);
}

absl::Status Database::ExecScript(const char* sql) {
  char* message = nullptr;
  if (sqlite3_exec(handle_, sql, nullptr, nullptr, &message) == SQLITE_OK) return absl::OkStatus();
  const std::string why = message != nullptr ? message : "unknown error";
  sqlite3_free(message);
  return absl::InternalError(Cat("store: ", why));
}

absl::Status Database::Configure() {
  sqlite3_busy_timeout(handle_, 5000);
  return ExecScript(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
      "PRAGMA trusted_schema=OFF; PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY;");
}

absl::Status Database::Migrate() {
  int64_t version = 0;
  {
    Rows rows = Query("PRAGMA user_version");
    if (rows.Next()) version = rows.Int(0);
  }
  RETURN_IF_ERROR(error_);
  const auto& steps = SchemaMigrations();
  if (version > static_cast<int64_t>(steps.size())) {
    return absl::FailedPreconditionError(
        Cat("store: schema version ", version, " is newer than this program's ", steps.size()));
  }
  for (; version < static_cast<int64_t>(steps.size()); ++version) {
    const std::string script = Cat("BEGIN IMMEDIATE;", steps[static_cast<size_t>(version)],
                                   "PRAGMA user_version=", version + 1, ";COMMIT;");
    RETURN_IF_ERROR(ExecScript(script.c_str()));
  }
  return absl::OkStatus();
}

Rows Database::Acquire(const char* sql) {
  auto& idle = idle_[sql];
  if (!idle.empty()) {
    sqlite3_stmt* statement = idle.back();
    idle.pop_back();
    return Rows(this, sql, statement);
  }
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) Check(code, sql);
  return Rows(this, sql, statement);
}

void Database::GiveBack(const char* key, sqlite3_stmt* statement) {
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  idle_[key].push_back(statement);
}

void Database::Check(int code, std::string_view what) {
  if (code == SQLITE_OK || !error_.ok()) return;
  error_ = absl::InternalError(Cat("store: ", what, ": ", sqlite3_errmsg(handle_)));
}

int64_t Database::Changes() const { return error_.ok() ? sqlite3_changes64(handle_) : 0; }
int64_t Database::LastRowId() const { return sqlite3_last_insert_rowid(handle_); }

void Database::Begin() {
  Run("BEGIN");
  in_transaction_ = true;
}

absl::Status Database::Commit() {
  Run("COMMIT");
  in_transaction_ = false;
  absl::Status status = std::exchange(error_, absl::OkStatus());
  if (!status.ok() && sqlite3_get_autocommit(handle_) == 0) Run("ROLLBACK");
  error_ = absl::OkStatus();
  return status;
}

void Database::Savepoint() { Run("SAVEPOINT request"); }

absl::Status Database::ReleaseSavepoint() {
  if (error_.ok()) Run("RELEASE request");
  absl::Status status = error_;
  if (!status.ok()) RollbackSavepoint();
  return status;
}

void Database::RollbackSavepoint() {
  error_ = absl::OkStatus();
  // An error that ended the whole transaction (a full disk may) leaves nothing to go back to;
  // Commit then reports it.
  if (sqlite3_get_autocommit(handle_) != 0) {
    error_ = absl::InternalError("store: the transaction was ended by an earlier error");
    return;
  }
  Run("ROLLBACK TO request");
  Run("RELEASE request");
}

void Database::Bind(sqlite3_stmt* statement, int index, int64_t value) {
  Check(sqlite3_bind_int64(statement, index, value), "bind");
}
void Database::Bind(sqlite3_stmt* statement, int index, std::string_view value) {
  Check(sqlite3_bind_text64(statement, index, value.data() == nullptr ? "" : value.data(),
                            value.size(), SQLITE_TRANSIENT, SQLITE_UTF8),
        "bind");
}
void Database::Bind(sqlite3_stmt* statement, int index, Blob value) {
  Check(sqlite3_bind_blob64(statement, index, value.octets.data(), value.octets.size(),
                            SQLITE_TRANSIENT),
        "bind");
}
void Database::Bind(sqlite3_stmt* statement, int index, std::nullptr_t) {
  Check(sqlite3_bind_null(statement, index), "bind");
}

}  // namespace auspex::coordd
