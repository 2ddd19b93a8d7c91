// The shortest way: start the default guest, run a command, print what it said.
import { launch } from "lguest/node";

const guest = await launch();
const { stdoutText } = await guest.exec("uname -a; echo hello from the guest");
console.log(stdoutText);
await guest.stop();
