// A mail server that keeps what it is sent, for tests: on a free port of 127.0.0.1, with AUTH PLAIN and no TLS. Enters:
// mails. Leaves: who logged in with which password, and each mail as it came.
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface SinkMail {
  /** As AUTH PLAIN has them. */
  readonly username: string;
  readonly password: string;
  /** Headers and body, in the encodings of the sender. */
  readonly text: string;
}

export interface SmtpSink {
  readonly port: number;
  readonly mails: readonly SinkMail[];
  close(): Promise<void>;
}

export async function startSmtpSink(): Promise<SmtpSink> {
  const mails: SinkMail[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    converse(socket, (mail) => void mails.push(mail));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    mails,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const ANSWERS: Readonly<Record<string, string>> = {
  EHLO: "250-sink\r\n250 AUTH PLAIN",
  HELO: "250 sink",
  AUTH: "235 welcome",
  MAIL: "250 ok",
  RCPT: "250 ok",
  DATA: "354 go on",
  QUIT: "221 bye",
};
const END_OF_MAIL = "\r\n.\r\n";

function converse(socket: Socket, keep: (mail: SinkMail) => void): void {
  let waiting = "";
  let isMail = false;
  let login = ["", "", ""];
  socket.write("220 sink\r\n");
  socket.on("data", (chunk) => {
    waiting += chunk.toString("utf8");
    for (;;) {
      const end = isMail ? END_OF_MAIL : "\r\n";
      const at = waiting.indexOf(end);
      if (at < 0) return;
      const text = waiting.slice(0, at);
      waiting = waiting.slice(at + end.length);
      if (isMail) {
        keep({ username: login[1] ?? "", password: login[2] ?? "", text });
        isMail = false;
        socket.write("250 kept\r\n");
        continue;
      }
      const [verb = "", , initial = ""] = text.split(" ");
      if (verb === "AUTH") login = Buffer.from(initial, "base64").toString("utf8").split("\0");
      isMail = verb === "DATA";
      socket.write(`${ANSWERS[verb] ?? "502 unknown"}\r\n`);
    }
  });
}
