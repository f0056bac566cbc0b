// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/user_units.h"

#include <algorithm>

#include "cli/service/differences.h"
#include "cli/service/system_units.h"
#include "cli/service/unit_text.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"

namespace auspex::cli {
namespace {

constexpr std::string_view kMarker =
    "# Written by auspex service install; SHA-256 of what follows: ";
constexpr size_t kDigestDigits = 64;

// Makes the credential that seals the key, which only the system's manager can open.
constexpr std::string_view kSealUnit = "auspex-seal.service";

bool IsOurs(std::string_view name) {
  const std::vector<SystemUnit>& units = SystemUnits();
  return name != kSealUnit && std::any_of(units.begin(), units.end(), [&](const SystemUnit& unit) {
           return unit.name == name;
         });
}

std::string WithMarker(const std::string& body) {
  return Cat(kMarker, Sha256HexOf(body), "\n", body);
}

// "/run/auspex/keyd/owner.sock" of the system, for this worker.
absl::StatusOr<std::string> SocketHere(const Layout& layout, const std::string& system_path) {
  const size_t slash = system_path.rfind('/'), before = system_path.rfind('/', slash - 1);
  const std::string daemon = system_path.substr(before + 1, slash - before - 1);
  const std::string role = system_path.substr(slash + 1, system_path.rfind('.') - slash - 1);
  return UnitValue(layout.Socket(daemon, role));
}

class Writer {
 public:
  Writer(const Layout& layout, const Environment& env,
         const std::function<absl::StatusOr<std::string>(std::string_view)>& find_program)
      : layout_(layout), env_(env), find_program_(find_program) {}

  absl::StatusOr<std::string> Body(const SystemUnit& unit) const {
    std::string text =
        Cat("# SPDX-License-Identifier: AGPL-3.0-only\n# Settings of your own belong beside it: "
            "systemctl --user edit ",
            unit.name, "\n");
    const std::vector<UnitLine> lines = UnitLines(unit.text);
    std::string section;
    for (size_t i = 0; i < lines.size(); ++i) {
      const UnitLine& line = lines[i];
      if (line.section != section) {
        section = line.section;
        text += Cat("\n[", section, "]\n");
      }
      // A list may have several lines; what is added stands behind the last one.
      const bool last = i + 1 == lines.size() || lines[i + 1].key != line.key;
      ASSIGN_OR_RETURN(const std::string written, Written(unit.name, line, last));
      text += written;
    }
    return text;
  }

 private:
  absl::StatusOr<std::string> Written(std::string_view unit, const UnitLine& line,
                                      bool last) const {
    const Difference* row = DifferenceFor(unit, line.key);
    if (row == nullptr) {
      return absl::InternalError(
          Cat(unit, ": nobody has decided what ", line.key, "= is to a person's manager"));
    }
    const std::string kept = Cat(line.key, "=", line.value, "\n");
    switch (row->fate) {
      case Fate::kLeftOut:
        return std::string();
      case Fate::kReplaced:
        return Cat("# ", row->reason, "\n", line.key, "=", row->value, "\n");
      case Fate::kAdded:
        if (!last) return kept;
        return Cat(kept, "# ", row->reason, "\n", line.key, "=", row->value, "\n");
      case Fate::kOurUnits: {
        std::string names;
        for (const std::string& word : WordsOf(line.value)) {
          if (IsOurs(word)) names += Cat(names.empty() ? "" : " ", word);
        }
        return names.empty() ? std::string() : Cat(line.key, "=", names, "\n");
      }
      case Fate::kPlace:
        if (line.key == "ListenStream") {
          ASSIGN_OR_RETURN(const std::string path, SocketHere(layout_, line.value));
          return Cat("ListenStream=", path, "\n");
        }
        return CommandHere(line.value);
      case Fate::kKept:
        break;
    }
    return kept;
  }

  absl::StatusOr<std::string> CommandHere(const std::string& system_command) const {
    const std::string program = WordsOf(system_command).front();
    ASSIGN_OR_RETURN(const std::string path, find_program_(program.substr(program.rfind('/') + 1)));
    ASSIGN_OR_RETURN(std::string text, UnitWord(path));
    for (const std::string& flag : layout_.Flags()) {
      ASSIGN_OR_RETURN(const std::string word, UnitWord(flag));
      text += Cat(" ", word);
    }
    ASSIGN_OR_RETURN(const std::string places, Places());
    return Cat("ExecStart=", text, "\n", places);
  }

  // The manager may have other values than the shell that installs: what says where this worker is comes from the shell alone.
  absl::StatusOr<std::string> Places() const {
    const std::string keyd = layout_.StateDir("keyd");
    std::vector<std::pair<std::string_view, std::string>> places = {
        {"AUSPEXAI_WORKER_STATE_DIR", keyd.substr(0, keyd.rfind('/'))},
        {"AUSPEXAI_WORKER_DATA_DIR", layout_.data_dir()}};
    for (const char* name : {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"})
      places.emplace_back(name, env_(name).value_or(""));
    std::string set, unset = "UnsetEnvironment=AUSPEX_HOME";
    for (const auto& [name, value] : places) {
      if (env_(name).value_or("").empty()) {
        unset += Cat(" ", name);
        continue;
      }
      ASSIGN_OR_RETURN(const std::string word, UnitWord(Cat(name, "=", value)));
      set += Cat("Environment=", word, "\n");
    }
    return Cat(set, unset, "\n");
  }

  const Layout& layout_;
  const Environment& env_;
  const std::function<absl::StatusOr<std::string>(std::string_view)>& find_program_;
};

}  // namespace

absl::StatusOr<std::vector<UserUnit>> UserUnits(
    const Layout& layout, const Environment& env,
    const std::function<absl::StatusOr<std::string>(std::string_view)>& find_program) {
  const Writer writer(layout, env, find_program);
  std::vector<UserUnit> units;
  for (const SystemUnit& unit : SystemUnits()) {
    if (!IsOurs(unit.name)) continue;
    ASSIGN_OR_RETURN(const std::string body, writer.Body(unit));
    units.push_back({std::string(unit.name), WithMarker(body)});
  }
  return units;
}

Authorship AuthorshipOf(std::string_view text) {
  if (!text.starts_with(kMarker)) return Authorship::kForeign;
  const std::string_view digest = text.substr(kMarker.size(), kDigestDigits);
  text.remove_prefix(kMarker.size() + digest.size());
  const bool whole = text.starts_with("\n") && Sha256HexOf(text.substr(1)) == digest;
  return whole ? Authorship::kOurs : Authorship::kChanged;
}

}  // namespace auspex::cli
