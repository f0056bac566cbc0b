// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <vector>

#include "common/base/cat.h"

namespace auspex::cli {
namespace {

// One verb or group: the words that lead to it, and what may follow.
struct Node {
  std::string path;  // "tenant allow"; empty for the command itself
  std::vector<const CLI::App*> verbs;
  std::vector<const CLI::Option*> options;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Node>& nodes) {
  Node node;
  node.path = path;
  // A filter, even one that keeps all, asks for every verb in place of those that were parsed.
  node.verbs = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    if (!option->get_positional() || !option->get_lnames().empty()) node.options.push_back(option);
  }
  nodes.push_back(node);
  for (const CLI::App* verb : node.verbs) {
    Collect(*verb, path.empty() ? verb->get_name() : Cat(path, " ", verb->get_name()), nodes);
  }
}

std::string Words(const Node& node) {
  std::string words;
  auto add = [&words](const std::string& word) { words += (words.empty() ? "" : " ") + word; };
  for (const CLI::App* verb : node.verbs) add(verb->get_name());
  for (const CLI::Option* option : node.options) {
    for (const std::string& name : option->get_lnames()) add(Cat("--", name));
  }
  return words;
}

// In single quotes for a shell.
std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c != '\n') {
      out += c;
    }
  }
  return out + "'";
}

// Both shells walk the words before the cursor and keep those that name a verb.
std::string CaseLines(const std::vector<Node>& nodes, std::string_view indent) {
  std::string out;
  for (const Node& node : nodes) {
    out += Cat(indent, Quoted(node.path), ") words=", Quoted(Words(node)), " ;;\n");
  }
  return out;
}

std::string VerbPattern(const std::vector<Node>& nodes) {
  std::string pattern;
  for (const Node& node : nodes) {
    if (!node.path.empty()) pattern += (pattern.empty() ? "" : "|") + Quoted(node.path);
  }
  return pattern;
}

std::string Bash(const std::vector<Node>& nodes, const std::string& name) {
  return Cat(
      "# bash completion for ", name, "\n_", name, "() {\n  local path='' try word i words=''\n",
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n    word=${COMP_WORDS[i]}\n",
      "    try=\"${path:+$path }$word\"\n    case \"$try\" in\n      ", VerbPattern(nodes),
      ") path=$try ;;\n    esac\n  done\n", "  case \"$path\" in\n", CaseLines(nodes, "    "),
      "  esac\n", "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n",
      "  case \"$prev\" in\n    --home|--experiment) COMPREPLY=($(compgen -d -- \"$cur\")); return "
      ";;\n",
      "    --config) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n  esac\n",
      "  [[ $cur == -* && -n $path ]] && words=\"$words ",
      Words(Node{"", {}, nodes.front().options}), "\"\n",
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _", name, " ", name);
}

std::string Zsh(const std::vector<Node>& nodes, const std::string& name) {
  return Cat(
      "#compdef ", name, "\n_", name, "() {\n  local path_='' try word words_='' i\n",
      "  for ((i = 2; i < CURRENT; i++)); do\n    word=${words[i]}\n    try=\"${path_:+$path_ "
      "}$word\"\n",
      "    case \"$try\" in\n      ", VerbPattern(nodes), ") path_=$try ;;\n    esac\n  done\n",
      "  case \"$path_\" in\n",
      [&nodes] {
        std::string lines = CaseLines(nodes, "    ");
        // "words" is zsh's own array.
        for (size_t at = 0; (at = lines.find(") words=", at)) != std::string::npos; at += 9) {
          lines.replace(at, 8, ") words_=");
        }
        return lines;
      }(),
      "  esac\n  compadd -- ${=words_}\n  [[ $PREFIX != -* ]] || compadd -- ",
      Words(Node{"", {}, nodes.front().options}), "\n}\ncompdef _", name, " ", name);
}

std::string Fish(const std::vector<Node>& nodes, const std::string& name) {
  std::string out = Cat("# fish completion for ", name, "\ncomplete -c ", name, " -f\n");
  for (const Node& node : nodes) {
    std::string condition = "__fish_use_subcommand";
    if (!node.path.empty()) {
      condition.clear();
      size_t at = 0;
      while (at < node.path.size()) {
        const size_t end = std::min(node.path.find(' ', at), node.path.size());
        condition += Cat(condition.empty() ? "" : "; and ", "__fish_seen_subcommand_from ",
                         node.path.substr(at, end - at));
        at = end + 1;
      }
    }
    for (const CLI::App* verb : node.verbs) {
      out += Cat("complete -c ", name, " -n ", Quoted(condition), " -a ", verb->get_name(), " -d ",
                 Quoted(verb->get_description()), "\n");
    }
    for (const CLI::Option* option : node.options) {
      for (const std::string& long_name : option->get_lnames()) {
        // The global options are taken everywhere.
        out += Cat("complete -c ", name,
                   node.path.empty() ? std::string() : Cat(" -n ", Quoted(condition)), " -l ",
                   long_name, option->get_items_expected_max() > 0 ? " -r" : "", " -d ",
                   Quoted(option->get_description()), "\n");
      }
    }
  }
  out.pop_back();
  return out;
}

}  // namespace

std::string CompletionScript(const CLI::App& app, std::string_view shell) {
  std::vector<Node> nodes;
  Collect(app, "", nodes);
  const std::string name = "auspex";
  if (shell == "bash") return Bash(nodes, name);
  if (shell == "zsh") return Zsh(nodes, name);
  if (shell == "fish") return Fish(nodes, name);
  return "";
}

}  // namespace auspex::cli
