// SPDX-License-Identifier: AGPL-3.0-only
// Database: the coordinator's one SQLite file (WAL, synchronous=FULL), its statement cache and its
// transactions.
//
// Errors are sticky: the first failure of any statement is kept, later statements do nothing and
// give empty values, and Commit or ReleaseSavepoint reports it. A handler therefore reads and
// writes without checking each step; its reply is thrown away and its writes are rolled back when
// the sticky error is set. Nothing half-done can leave.
//
// A batch of requests shares one transaction (group commit): Begin, then per request Savepoint ...
// Release or Rollback, then Commit; replies may leave only after Commit returned OK. One thread at
// a time.
#ifndef AUSPEX_COORDD_DATABASE_H_
#define AUSPEX_COORDD_DATABASE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids/ids.h"

struct sqlite3;
struct sqlite3_stmt;

namespace auspex::coordd {

class Database;

// A bound statement that is being stepped; gives its statement back to the cache on destruction.
// Must not outlive the Database.
class Rows {
 public:
  Rows(Rows&& other) noexcept;
  Rows(const Rows&) = delete;
  Rows& operator=(Rows&&) = delete;
  ~Rows();

  // Moves to the next row; false at the end and on an error.
  bool Next();
  int64_t Int(int column) const;
  std::string Text(int column) const;
  bool IsNull(int column) const;
  std::optional<int64_t> MaybeInt(int column) const;
  std::optional<std::string> MaybeText(int column) const;

 private:
  friend class Database;
  Rows(Database* database, const char* key, sqlite3_stmt* statement)
      : database_(database), key_(key), statement_(statement) {}
  Database* database_;
  const char* key_;
  sqlite3_stmt* statement_;
};

// Octets that are bound as a BLOB instead of as text.
struct Blob {
  std::string_view octets;
};

class Database {
 public:
  // Opens or creates the file and brings its schema up to date.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // `sql` must be a literal (the cache goes by its address). Arguments bind in order: integers,
  // bool, text, Blob, validated text, optional of these, nullptr.
  template <typename... Args>
  Rows Query(const char* sql, const Args&... args) {
    Rows rows = Acquire(sql);
    int index = 0;
    (Bind(rows.statement_, ++index, args), ...);
    return rows;
  }
  // Runs to the end; the number of changed rows.
  template <typename... Args>
  int64_t Run(const char* sql, const Args&... args) {
    Rows rows = Query(sql, args...);
    while (rows.Next()) {
    }
    return Changes();
  }
  int64_t LastRowId() const;

  void Begin();
  absl::Status Commit();
  void Savepoint();
  // OK, or the sticky error, after which the savepoint has been rolled back and the error
  // forgotten.
  absl::Status ReleaseSavepoint();
  void RollbackSavepoint();
  bool in_transaction() const { return in_transaction_; }
  const absl::Status& error() const { return error_; }

 private:
  friend class Rows;
  explicit Database(sqlite3* handle) : handle_(handle) {}
  absl::Status Configure();
  absl::Status Migrate();
  absl::Status ExecScript(const char* sql);
  Rows Acquire(const char* sql);
  void GiveBack(const char* key, sqlite3_stmt* statement);
  void Check(int code, std::string_view what);
  int64_t Changes() const;

  void Bind(sqlite3_stmt* statement, int index, int64_t value);
  void Bind(sqlite3_stmt* s, int index, int value) { Bind(s, index, static_cast<int64_t>(value)); }
  void Bind(sqlite3_stmt* s, int index, bool value) { Bind(s, index, static_cast<int64_t>(value)); }
  void Bind(sqlite3_stmt* statement, int index, std::string_view value);
  void Bind(sqlite3_stmt* s, int index, const std::string& value) {
    Bind(s, index, std::string_view(value));
  }
  void Bind(sqlite3_stmt* s, int index, const char* value) {
    Bind(s, index, std::string_view(value));
  }
  void Bind(sqlite3_stmt* statement, int index, Blob value);
  void Bind(sqlite3_stmt* statement, int index, std::nullptr_t);
  template <typename Kind>
  void Bind(sqlite3_stmt* s, int index, const ValidatedText<Kind>& value) {
    Bind(s, index, std::string_view(value.str()));
  }
  template <typename T>
  void Bind(sqlite3_stmt* s, int index, const std::optional<T>& value) {
    if (value) {
      Bind(s, index, *value);
    } else {
      Bind(s, index, nullptr);
    }
  }

  sqlite3* handle_;
  std::unordered_map<const char*, std::vector<sqlite3_stmt*>> idle_;
  absl::Status error_;
  bool in_transaction_ = false;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_DATABASE_H_
