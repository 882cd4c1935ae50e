#!/usr/bin/env python3
"""Administers a broker over its management HTTP API from any machine that has Python 3: nothing else is needed.

Every subcommand is one request: this file turns words into a request and an answer into text, and decides nothing that
the broker could decide. Words, options and texts are those that scripts written for RabbitMQ expect; they stand in a
table that the broker puts in here when it hands this file out.
"""

import base64
import configparser
import http.client
import json
import optparse
import os
import re
import socket
import ssl
import sys
import types
import urllib.parse

VERSION = "VERSION"

WORDS = json.loads(r"""WORDS_JSON""")
LISTED, SHOWN, DECLARED, DELETED, CLOSED, PURGED, MESSAGES = (
    {one["kind"]: one for one in WORDS[verb]}
    for verb in ("list", "show", "declare", "delete", "close", "purge", "message"))

DEFAULTS = {
    "hostname": "localhost", "port": 15672, "path_prefix": "", "vhost": None, "declare_vhost": "/", "username": "guest",
    "password": "guest", "quiet": False, "ssl": False, "ssl_key_file": None, "ssl_cert_file": None,
    "ssl_ca_cert_file": None, "ssl_disable_hostname_verification": False, "ssl_insecure": False,
    "request_timeout": 120, "format": "table", "sort": None, "sort_reverse": False, "depth": None, "base_uri": None,
}
NUMBERS = ("port", "request_timeout", "depth")


class Problem(Exception):
    """What ends the run, in the words that are written."""


class Usage(Problem):
    """The words of the caller are to blame."""


class Refused(Problem):
    """The broker refuses, or cannot be asked."""


def quoted(text, safe=""):
    return urllib.parse.quote(text, safe=safe)


# Options


def parser():
    options = optparse.OptionParser(
        prog="rabbitmqadmin", usage="rabbitmqadmin [options] subcommand", add_help_option=False,
        formatter=optparse.TitledHelpFormatter())
    for one in WORDS["options"]:
        names = [name for name in (one.get("short"), one["long"]) if name]
        if "takes" in one:
            options.add_option(*names, dest=one["key"], type="int" if one.get("number") else "string")
        else:
            options.add_option(*names, dest=one["key"], action="store_true")
    return options


def section(given):
    """The settings of the section of the configuration file that is asked for."""
    home = os.getenv("USERPROFILE") or os.getenv("HOME")
    path, name = given.config, given.node or "default"
    if path is not None and not os.path.isfile(path):
        raise Usage("Could not read config file '%s'" % path)
    if path is None and home and os.path.isfile(os.path.join(home, ".rabbitmqadmin.conf")):
        path = os.path.join(home, ".rabbitmqadmin.conf")
    if path is None:
        if name != "default":
            raise Usage("Could not read section '%s': there is no config file" % name)
        return {}
    file = configparser.ConfigParser()
    try:
        with open(path, encoding="utf-8") as text:
            file.read_file(text)
        found = dict(file.items(name))
    except configparser.NoSectionError as error:
        if name == "default":
            return {}
        raise Usage("Could not read section '%s' in config file '%s':\n   %s" % (name, path, error))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Usage("Could not read config file '%s': %s" % (path, error))
    for key in found:
        if key not in DEFAULTS and key != "verbose":
            raise Usage("Could not read config file '%s': '%s' is no setting" % (path, key))
    return found


def typed(key, value):
    """A setting of the file or the line in its type."""
    if key in NUMBERS:
        try:
            return int(value)
        except ValueError:
            raise Usage("%s = %s is no number" % (key, value))
    if isinstance(DEFAULTS.get(key, False), bool) and isinstance(value, str):
        try:
            return configparser.ConfigParser.BOOLEAN_STATES[value.lower()]
        except KeyError:
            raise Usage("%s = %s is no switch: write True or False" % (key, value))
    return value


def settled(given):
    """Defaults, then the configuration file, then the command line."""
    values = section(given)
    values.update({key: value for key, value in vars(given).items() if value is not None and key in DEFAULTS})
    if values.get("base_uri"):
        values.update(of_address(values["base_uri"]))
    values = {key: typed(key, value) for key, value in values.items()}
    values.setdefault("quiet", not values.pop("verbose", True))
    settings = types.SimpleNamespace(**{**DEFAULTS, **values})
    settings.declare_vhost = settings.vhost or settings.declare_vhost
    if settings.format not in WORDS["formats"]:
        raise Usage("Format %s not recognised" % settings.format)
    return settings


def of_address(text):
    """An address names what other options do; its path is not one of them."""
    address = urllib.parse.urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise Usage("--base-uri %s is no http or https address" % text)
    found = {"hostname": address.hostname}
    if address.scheme == "https":
        found["ssl"] = True
    if address.port is not None:
        found["port"] = address.port
    if address.username is not None:
        found["username"] = urllib.parse.unquote(address.username)
    if address.password is not None:
        found["password"] = urllib.parse.unquote(address.password)
    if address.path not in ("", "/"):
        print("WARNING: path in --base-uri is ignored. Please specify --vhost and/or --path-prefix separately.\n",
              file=sys.stderr)
    return found


# Requests


def trusted(own):
    """Whom a broker's certificate is believed by, and what is shown to it."""
    trust = ssl.create_default_context()
    if own.ssl_disable_hostname_verification or own.ssl_insecure:
        trust.check_hostname = False
    if own.ssl_insecure:
        trust.verify_mode = ssl.CERT_NONE
    if own.ssl_ca_cert_file:
        trust.load_verify_locations(own.ssl_ca_cert_file)
    if own.ssl_key_file:
        if not own.ssl_cert_file:
            raise Usage("--ssl-key-file is nothing without --ssl-cert-file")
        trust.load_cert_chain(own.ssl_cert_file, own.ssl_key_file)
    return trust


def ask(own, method, path, body=None):
    """The text of the broker's answer."""
    path = "%s/api/%s" % (own.path_prefix, path)
    login = "%s:%s" % (own.username, own.password)
    headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    if own.ssl:
        connection = http.client.HTTPSConnection(
            own.hostname, own.port, timeout=own.request_timeout, context=trusted(own))
    else:
        connection = http.client.HTTPConnection(own.hostname, own.port, timeout=own.request_timeout)
    try:
        connection.request(method, path, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise Refused("Could not connect: %s" % error)
    try:
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except socket.timeout:
        raise Refused("Timed out getting HTTP response (request timeout: %s seconds)" % own.request_timeout)
    except (OSError, http.client.HTTPException) as error:
        raise Refused("Error getting HTTP response: %s" % error)
    if answer.status == 401:
        raise Refused("Access refused: " + path)
    if answer.status == 404:
        raise Refused("Not found: " + path)
    if answer.status >= 300:
        raise Refused(reason(answer, text))
    return text


def reason(answer, text):
    if answer.status < 400:
        return "%d: the API is at %s" % (answer.status, answer.getheader("location"))
    try:
        told = json.loads(text)["reason"]
    except (ValueError, KeyError, TypeError):
        return "%d: %s" % (answer.status, text)
    return told if isinstance(told, str) else json.dumps(told)


# Words of the command line


def value(shape, key, text):
    if key not in shape.get("json", []):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise Problem("ERROR: Could not parse JSON:\n  %s" % text)


def filled(shape, words, own):
    """The path and the fields of what is done to an object."""
    must, may = shape.get("must", []), shape.get("may", [])
    known = {way for ways in must for way in ways} | {key for key, _ in may}
    fields = {key: value(shape, key, text) for key, text in may if text is not None}
    for word in words:
        key, is_pair, text = word.partition("=")
        if not is_pair:
            raise Usage("Argument \"%s\" not in the name=value format" % word)
        if key not in known:
            raise Usage("Argument \"%s\" is not recognised" % key)
        fields[key] = value(shape, key, text)
    for ways in must:
        if not any(way in fields for way in ways):
            raise Usage("mandatory argument \"%s\" is required" % ways[0] if len(ways) == 1
                        else "one of mandatory arguments \"%s\" is required" % ways)
    if ["vhost"] not in must:
        fields["vhost"] = own.declare_vhost
    path = path_of(shape["path"], fields)
    if shape["kind"] == "queue" and "queue_type" in fields and "arguments" in fields:
        # What a queue is stands among its arguments.
        fields["arguments"]["x-queue-type"] = fields["queue_type"]
    return path, fields


def path_of(template, fields):
    """The path with its places filled. Where an exchange has no name, it is the default one."""
    def place(found):
        key = found.group(1)
        if key == "destination_char":
            return fields.get("destination_type", "")[:1]
        text = fields.get(key, "")
        return "amq.default" if not text and key in ("source", "exchange") else quoted(text)
    return re.sub(r"\{(\w+)\}", place, template)


def shape_of(shapes, words):
    if not words:
        raise Usage("Type not specified")
    if words[0] not in shapes:
        raise Usage("Type %s not recognised" % words[0])
    return shapes[words[0]], words[1:]


def only(words):
    if len(words) != 1:
        raise Usage("Exactly one argument required")
    return words[0]


class Run:
    """One subcommand."""

    def __init__(self, settings):
        self.own = settings

    def say(self, text):
        if not self.own.quiet:
            print(text)

    def list(self, words):
        self.enlist(LISTED, words, "list", "%s")

    def show(self, words):
        self.enlist(SHOWN, words, "show", "[%s]")

    def enlist(self, kinds, words, verb, whole):
        if not words:
            raise Usage("Type not specified")
        if words[0] not in kinds:
            raise Usage("Don't know how to %s %s" % (verb, words[0]))
        listed, columns, own = kinds[words[0]], words[1:], self.own
        path = listed["kind"].replace("_", "-")
        if own.vhost and listed.get("in_vhost"):
            path += "/" + quoted(own.vhost)
        if not columns and own.depth is None and "json" not in own.format:
            # Who asks for depth or for JSON wants all that there is.
            columns = listed.get("columns", [])
        query = ["columns=" + quoted(",".join(columns), ",")] if columns else []
        query += ["sort=" + quoted(own.sort)] if own.sort is not None else []
        query += ["sort_reverse=true"] if own.sort_reverse else []
        answer = ask(own, "GET", path + ("?" + "&".join(query) if query else ""))
        self.write(whole % answer, columns, listed.get("json", []))

    def declare(self, words):
        shape, words = shape_of(DECLARED, words)
        path, fields = filled(shape, words, self.own)
        ask(self.own, "POST" if shape["kind"] == "binding" else "PUT", path, fields)
        self.say(shape["kind"] + " declared")

    def remove(self, shapes, words, done):
        shape, words = shape_of(shapes, words)
        path, _ = filled(shape, words, self.own)
        ask(self.own, "DELETE", path)
        self.say("%s %s" % (shape["kind"], done))

    def publish(self, words):
        path, fields = filled(MESSAGES["publish"], words, self.own)
        if "payload" not in fields:
            fields["payload"] = base64.b64encode(sys.stdin.buffer.read()).decode()
            fields["payload_encoding"] = "base64"
        answer = json.loads(ask(self.own, "POST", path, fields))
        self.say("Message published" if answer["routed"] else "Message published but NOT routed")

    def get(self, words):
        path, fields = filled(MESSAGES["get"], words, self.own)
        file = fields.get("payload_file")
        if file and fields["count"] != "1":
            raise Usage("Cannot get multiple messages using payload_file")
        answer = ask(self.own, "POST", path, fields)
        for message in json.loads(answer)[:1] if file else []:
            payload = message["payload"]
            with open(file, "wb") as out:
                out.write(base64.b64decode(payload) if message["payload_encoding"] == "base64" else payload.encode())
        self.write(answer, WORDS["columns_with_file"] if file else [], [])

    def definitions(self):
        return "definitions/" + quoted(self.own.vhost) if self.own.vhost else "definitions"

    def save(self, words):
        file = only(words)
        text = ask(self.own, "GET", self.definitions())
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        self.say("Exported definitions for %s to \"%s\"" % (self.own.hostname, file))

    def load(self, words):
        file = only(words)
        with open(file, "rb") as given:
            octets = given.read()
        ask(self.own, "POST", self.definitions(), octets)
        self.say("Uploaded definitions from \"%s\" to %s. The import process may take some time. Consult server logs to "
                 "track progress." % (self.own.hostname, file))

    def write(self, text, columns, as_json):
        """A list as text, in the format that was asked for."""
        if self.own.format == "raw_json":
            print(text)
            return
        items = json.loads(text)
        if self.own.format == "pretty_json":
            print(json.dumps(items, ensure_ascii=False, sort_keys=True, indent=2))
            return
        depth = sys.maxsize if columns else self.own.depth if self.own.depth is not None else 1
        # A row that has none of the columns may come as an empty list.
        rows = [flat(item or {}, depth, as_json) for item in items]
        if not rows:
            self.say("No items")
            return
        columns = columns or ordered({key for row in rows for key in row})
        WRITERS[self.own.format](columns, [[row.get(column, "") for column in columns] for row in rows], self.own.quiet)


# Answers


def flat(item, depth, as_json, before=""):
    """The fields of an object; those of objects in it, so many deep, under both their names."""
    fields = {}
    for key, value in item.items():
        name = before + key
        if isinstance(value, dict) and key not in as_json:
            if depth > 1:
                fields.update(flat(value, depth - 1, as_json, name + "."))
        else:
            fields[name] = shown(value)
    return fields


def shown(value):
    """A value as text; None is a value that is there and null."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True)
    return None if value is None else str(value)


def ordered(names):
    first = [name for name in WORDS["first_columns"] if name in names]
    return first + sorted(name for name in names if name not in first)


def write_table(columns, rows, _):
    rows = [[cell or "" for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    print(line)
    print("| " + " | ".join("{:^{}}".format(name, width) for name, width in zip(columns, widths)) + " |")
    print(line)
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
    print(line)


def write_tsv(columns, rows, is_quiet):
    for row in ([] if is_quiet else [columns]) + rows:
        print("\t".join(cell or "" for cell in row))


def write_long(columns, rows, _):
    width = max(len(name) for name in columns)
    print("\n" + "-" * 80 + "\n")
    for row in rows:
        for name, cell in zip(columns, row):
            print("%s: %s" % (name.rjust(width), cell))
        print("\n" + "-" * 80 + "\n")


def write_kvp(columns, rows, _):
    for row in rows:
        print(" ".join("%s=\"%s\"" % (name, cell) for name, cell in zip(columns, row)))


def write_bash(columns, rows, _):
    if "name" in columns:
        print(" ".join(row[columns.index("name")] for row in rows))


WRITERS = {"table": write_table, "tsv": write_tsv, "long": write_long, "kvp": write_kvp, "bash": write_bash}


# Help


VERBS = (("declare", DECLARED), ("delete", DELETED), ("close", CLOSED), ("purge", PURGED))
USAGE = "Usage\n=====\n  rabbitmqadmin [options] subcommand"


def overview():
    lines = [USAGE, "", "Options", "======="]
    for one in WORDS["options"]:
        short = one["short"] + ", " if "short" in one else ""
        takes = "=" + one["takes"] if "takes" in one else ""
        lines.append("%-39s %s" % (short + one["long"] + takes, one["help"]))
    return "\n".join(lines + [""] + WORDS["more_help"])


def title(name):
    return "\n%s\n%s\n" % (name, "=" * len(name))


def subcommand(verb, shape):
    told = ["=... OR ".join(ways) + "=..." for ways in shape.get("must", [])]
    if shape.get("may"):
        told.append("[%s]" % " ".join(key + "=..." for key, _ in shape["may"]))
    return "%s%s %s" % (verb, shape["kind"], " ".join(told))


def subcommands():
    lines = [USAGE, "\n  where subcommand is one of:", title("Display")]
    for verb, kinds in (("list", LISTED), ("show", SHOWN)):
        lines += ["  %s %s [<column>...]" % (verb, kind) for kind in kinds]
    lines.append(title("Object Manipulation"))
    for verb, shapes in VERBS:
        lines += [subcommand("  %s " % verb, shape) for shape in shapes.values()]
    lines += [title("Broker Definitions"), "  export <file>\n  import <file>", title("Publishing and Consuming")]
    lines += [subcommand("  ", shape) for shape in MESSAGES.values()]
    return "\n".join(lines + [""] + WORDS["notes"])


def completion():
    """A completion script for bash: subcommands and what they act on."""
    kinds = (("list", LISTED), ("show", SHOWN)) + VERBS
    verbs = " ".join([verb for verb, _ in kinds] + ["publish", "get", "export", "import", "help"])
    return "\n".join([
        "_rabbitmqadmin() {",
        "    local word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD - 1]}\" words",
        "    case \"$before\" in",
        *("        %s) words=\"%s\" ;;" % (verb, " ".join(of)) for verb, of in kinds),
        "        help) words=\"subcommands config\" ;;",
        "        -f|--format) words=\"%s\" ;;" % " ".join(WORDS["formats"]),
        "        export|import) COMPREPLY=($(compgen -f -- \"$word\")); return ;;",
        "        *) words=\"%s\" ;;" % verbs,
        "    esac",
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))",
        "}",
        "complete -F _rabbitmqadmin rabbitmqadmin",
    ])


def explain(words):
    topics = {"subcommands": subcommands, "config": lambda: "\n".join(WORDS["config"])}
    if words and only(words) not in topics:
        raise Usage("help topic must be one of:\n  subcommands\n  config")
    print(topics[words[0]]() if words else overview())


def perform(settings, words):
    if not words:
        raise Usage("Action not specified")
    run, (verb, *rest) = Run(settings), words
    verbs = {
        "help": explain, "list": run.list, "show": run.show, "declare": run.declare, "publish": run.publish,
        "get": run.get, "export": run.save, "import": run.load,
        "delete": lambda words: run.remove(DELETED, words, "deleted"),
        "close": lambda words: run.remove(CLOSED, words, "closed"),
        "purge": lambda words: run.remove(PURGED, words, "purged"),
    }
    if verb not in verbs:
        raise Usage("Action %s not understood" % verb)
    verbs[verb](rest)


def main():
    given, words = parser().parse_args()
    if given.help:
        print(overview())
    elif given.version:
        print("rabbitmqadmin " + VERSION)
    elif given.bash_completion:
        print(completion())
    else:
        perform(settled(given), words)


if __name__ == "__main__":
    try:
        main()
    except Usage as problem:
        sys.exit("\nERROR: %s\n\nrabbitmqadmin --help for help\n" % problem)
    except Refused as problem:
        sys.exit("*** %s\n" % problem)
    except BrokenPipeError:
        # Whoever closes the other end has read enough; nothing more is written, not even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.exit("*** %s\n" % error)
    except Problem as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(1)
