/**
 * The packets of the socket device (virtio 1.3 §5.10.6): a header of 44 bytes,
 * little-endian, and for RW the data.
 *
 * | Offset | Bytes | Field | Meaning |
 * | --- | --- | --- | --- |
 * | 0 | 8 | src_cid | who sends; 2 is us |
 * | 8 | 8 | dst_cid | |
 * | 16 | 4 | src_port | |
 * | 20 | 4 | dst_port | |
 * | 24 | 4 | len | bytes of data |
 * | 28 | 2 | type | 1 = stream |
 * | 30 | 2 | op | |
 * | 32 | 4 | flags | of SHUTDOWN |
 * | 36 | 4 | buf_alloc | what the sender can hold in all |
 * | 40 | 4 | fwd_cnt | what it has handed on so far, modulo 2^32 |
 *
 * Relies on nothing; the device and its connections rely on it.
 *
 * @journey D:200 A letter and its envelope
 */

export const VSOCK_HEADER_BYTES = 44;

/** The context id of whatever runs the guests (§5.10.4). */
export const VMADDR_CID_HOST = 2;

export const VIRTIO_VSOCK_TYPE_STREAM = 1;

// Operations (§5.10.6).
export const VIRTIO_VSOCK_OP_REQUEST = 1;
export const VIRTIO_VSOCK_OP_RESPONSE = 2;
export const VIRTIO_VSOCK_OP_RST = 3;
export const VIRTIO_VSOCK_OP_SHUTDOWN = 4;
export const VIRTIO_VSOCK_OP_RW = 5;
export const VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6;
export const VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7;

// Flags of SHUTDOWN (§5.10.6.6), as masks.
/** The sender will take no more data. */
export const VIRTIO_VSOCK_SHUTDOWN_F_RECEIVE = 1 << 0;
/** The sender will send no more data. */
export const VIRTIO_VSOCK_SHUTDOWN_F_SEND = 1 << 1;

/** A header as numbers; context ids are as good as 32 bits, the rest is reserved. */
export interface VsockHeader {
	readonly sourceCid: bigint;
	readonly destinationCid: bigint;
	readonly sourcePort: number;
	readonly destinationPort: number;
	readonly lengthBytes: number;
	readonly type: number;
	readonly op: number;
	readonly flags: number;
	readonly bufferBytes: number;
	readonly forwardedCount: number;
}

/** `bytes` has at least `VSOCK_HEADER_BYTES`. */
export function parseVsockHeader(bytes: Uint8Array): VsockHeader {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return {
		sourceCid: view.getBigUint64(0, true),
		destinationCid: view.getBigUint64(8, true),
		sourcePort: view.getUint32(16, true),
		destinationPort: view.getUint32(20, true),
		lengthBytes: view.getUint32(24, true),
		type: view.getUint16(28, true),
		op: view.getUint16(30, true),
		flags: view.getUint32(32, true),
		bufferBytes: view.getUint32(36, true),
		forwardedCount: view.getUint32(40, true),
	};
}

/** The header, and room for its data behind it. */
export function writeVsockHeader(header: VsockHeader): Uint8Array<ArrayBuffer> {
	const packet = new Uint8Array(VSOCK_HEADER_BYTES + header.lengthBytes);
	const view = new DataView(packet.buffer);
	view.setBigUint64(0, header.sourceCid, true);
	view.setBigUint64(8, header.destinationCid, true);
	view.setUint32(16, header.sourcePort, true);
	view.setUint32(20, header.destinationPort, true);
	view.setUint32(24, header.lengthBytes, true);
	view.setUint16(28, header.type, true);
	view.setUint16(30, header.op, true);
	view.setUint32(32, header.flags, true);
	view.setUint32(36, header.bufferBytes, true);
	view.setUint32(40, header.forwardedCount, true);
	return packet;
}
