// SPDX-License-Identifier: AGPL-3.0-only
// UnitFile: one systemd unit of deploy/systemd, read as far as tests need it, and what the installed systemd says about such files.
#ifndef AUSPEX_TESTS_DEPLOY_UNIT_FILE_H_
#define AUSPEX_TESTS_DEPLOY_UNIT_FILE_H_

#include <set>
#include <string>
#include <vector>

namespace auspex::deploy {

// A path below deploy/ in the source tree.
std::string DeployFile(const std::string& name);
// The files of deploy/systemd whose name ends so, sorted, as names.
std::vector<std::string> UnitNames(const std::string& ending);
// Whether systemd's own checker is installed.
bool HasSystemdAnalyze();

class UnitFile {
 public:
  struct Line {
    std::string section, key, value;
    bool explained = false;  // a comment begins the run of lines, at most four, that it stands in
  };
  // A unit of deploy/systemd; one that is missing has no lines.
  explicit UnitFile(const std::string& name);

  const std::vector<Line>& lines() const { return lines_; }
  // Every value of a key, in order.
  std::vector<std::string> All(const std::string& key) const;
  // The last value; "" when there is none.
  std::string Value(const std::string& key) const;
  // The names of system calls that SystemCallFilter= leaves, groups resolved by the installed systemd. Lines that begin with ~ take away,
  // the others add.
  std::set<std::string> SystemCalls() const;

 private:
  std::vector<Line> lines_;
};

}  // namespace auspex::deploy

#endif  // AUSPEX_TESTS_DEPLOY_UNIT_FILE_H_
