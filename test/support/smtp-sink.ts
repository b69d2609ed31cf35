// An SMTP server that takes every mail and keeps it, for tests. Speaks as much of RFC 5321 as Alertmanager asks for.
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

export interface SmtpSink {
  /** `host:port`. */
  readonly address: string;
  /** Headers and bodies as they came, oldest first. */
  readonly mails: readonly string[];
  close(): Promise<void>;
}

export async function startSmtpSink(): Promise<SmtpSink> {
  const mails: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("close", () => sockets.delete(socket)).on("error", () => {}));
    converse(socket, (mail) => mails.push(mail));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    mails,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function converse(socket: Socket, onMail: (mail: string) => void): void {
  let read = "";
  let isData = false;
  socket.write("220 sink\r\n");
  socket.setEncoding("utf8").on("data", (text: string) => {
    read += text;
    for (;;) {
      const end = read.indexOf(isData ? "\r\n.\r\n" : "\r\n");
      if (end === -1) return;
      const line = read.slice(0, end);
      read = read.slice(end + (isData ? 5 : 2));
      if (isData) onMail(line);
      const verb = isData ? "" : line.slice(0, 4).toUpperCase();
      isData = verb === "DATA";
      socket.write(answerTo(verb));
      if (verb === "QUIT") socket.end();
    }
  });
}

function answerTo(verb: string): string {
  if (verb === "DATA") return "354 go on\r\n";
  if (verb === "QUIT") return "221 bye\r\n";
  return "250 ok\r\n";
}
