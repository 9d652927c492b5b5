//! The kernel proper out of a bzImage: QEMU starts it directly (PVH), which spares the guest the
//! decompression.

use std::io::{Cursor, Read as _};

use crate::Error;

/// Offsets in the set-up header (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const SETUP_SECTS: usize = 0x1f1;
const MAGIC: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
/// More than any kernel has.
const LARGEST: u64 = 512 << 20;

/// Extracts the ELF file that a bzImage carries.
///
/// # Errors
/// When `image` is no x86 bzImage, or is packed in a way that is not known.
pub fn extract(image: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |why: &str| Error::new(format!("this is not a kernel for x86: {why}"), "");
    if image.get(MAGIC..MAGIC + 4) != Some(b"HdrS") {
        return Err(wrong("it lacks the set-up header"));
    }
    let number = |at: usize| -> usize {
        let bytes = image
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    // Zero stands for four.
    let sectors = match image[SETUP_SECTS] {
        0 => 4,
        n => usize::from(n),
    };
    let start = (sectors + 1) * 512 + number(PAYLOAD_OFFSET);
    let payload = start
        .checked_add(number(PAYLOAD_LENGTH))
        .and_then(|end| image.get(start..end))
        .ok_or_else(|| wrong("its payload lies outside of it"))?;
    let kernel = unpack(payload).map_err(|why| wrong(&why))?;
    if kernel.starts_with(b"\x7fELF") {
        Ok(kernel)
    } else {
        Err(wrong("its payload is no ELF file"))
    }
}

/// The release of a kernel, from the banner that it carries (`linux_banner`, init/version.c).
pub fn release(kernel: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    kernel
        .windows(BANNER.len() + 1)
        .enumerate()
        .filter(|(_, window)| window.starts_with(BANNER) && window[BANNER.len()].is_ascii_digit())
        .find_map(|(at, _)| {
            let rest = &kernel[at + BANNER.len()..];
            let end = rest.iter().take(128).position(|&byte| byte == b' ')?;
            String::from_utf8(rest[..end].to_vec()).ok()
        })
}

fn unpack(payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match payload {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            ruzstd::decoding::StreamingDecoder::new(payload)
                .map_err(|error| error.to_string())?
                .take(LARGEST)
                .read_to_end(&mut out)
                .map_err(|error| error.to_string())?;
        }
        [0x02, 0x21, 0x4c, 0x18, blocks @ ..] => out = lz4_legacy(blocks)?,
        [0x1f, 0x8b, ..] => {
            flate2::read::GzDecoder::new(payload)
                .take(LARGEST)
                .read_to_end(&mut out)
                .map_err(|error| error.to_string())?;
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            lzma_rs::xz_decompress(&mut Cursor::new(payload), &mut out)
                .map_err(|error| format!("{error:?}"))?;
        }
        _ => return Err("its payload is packed in an unknown way".to_owned()),
    }
    Ok(out)
}

/// The frame format that `lz4 -l` writes: blocks of at most 8 MiB, each after its packed size.
/// The kernel's build adds four bytes with the whole size at the end (scripts/Makefile.lib).
fn lz4_legacy(mut blocks: &[u8]) -> Result<Vec<u8>, String> {
    const BLOCK: usize = 8 << 20;
    let mut out = Vec::new();
    while let Some((size, rest)) = blocks.split_first_chunk::<4>() {
        if rest.is_empty() {
            break;
        }
        let size = u32::from_le_bytes(*size) as usize;
        let packed = rest.get(..size).ok_or("a block lies outside of it")?;
        let begin = out.len();
        out.resize(begin + BLOCK, 0);
        let length = lz4_flex::block::decompress_into(packed, &mut out[begin..])
            .map_err(|error| error.to_string())?;
        out.truncate(begin + length);
        if out.len() as u64 > LARGEST {
            return Err("it is larger than any kernel".to_owned());
        }
        blocks = &rest[size..];
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_kernel_is_refused_whatever_it_is() {
        let mut header = vec![0; 0x300];
        header[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        let mut outside = header.clone();
        outside[PAYLOAD_LENGTH..PAYLOAD_LENGTH + 4].copy_from_slice(&[0xff; 4]);
        for (image, why) in [
            (vec![], "set-up header"),
            (vec![0; 0x300], "set-up header"),
            (header, "outside"),
            (outside, "outside"),
        ] {
            let error = extract(&image).expect_err(why);
            assert!(error.message.contains(why), "{error}");
        }
    }

    #[test]
    fn the_release_is_that_of_the_banner() {
        let kernel = b"\0Linux version %s (%s)\0Linux version 6.1.0-56-cloud-amd64 (gcc) #1 SMP\0";
        assert_eq!(release(kernel).as_deref(), Some("6.1.0-56-cloud-amd64"));
        assert_eq!(release(b"Linux version 6.1"), None);
    }

    #[test]
    fn blocks_of_lz4_are_put_together() {
        let text = b"one block and another".repeat(100);
        let mut blocks = Vec::new();
        for part in text.chunks(1000) {
            let packed = lz4_flex::block::compress(part);
            blocks.extend((packed.len() as u32).to_le_bytes());
            blocks.extend(packed);
        }
        blocks.extend((text.len() as u32).to_le_bytes());
        assert_eq!(lz4_legacy(&blocks).expect("unpacked"), text);
        blocks[2] = 0xff;
        lz4_legacy(&blocks).expect_err("a block that lies outside");
    }
}
